// One output file, from creation to its own name.
//
//   open, reopen   written under a temporary name (temporary.h): a reader of the folder never sees half a file
//   commit         whole frames, on the disk: what the ledger may count on
//   finish         nothing follows; the encoder and its memory are gone
//   publish        the temporary gets its own name, in one step
//
// The ledger learns of each step in between: row() is what to tell it. Once keep() has been called the temporary
// outlives this object, as the ledger may name it; before, it goes with it.
//
// A target that is a FIFO, a character device or /dev/stdout is written as it is: no temporary, no rename, no sync,
// nothing for the ledger.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "config/pipeline.h"
#include "proto/base/fd.h"
#include "proto/base/result.h"
#include "workers/ledger/ledger.h"
#include "workers/writer/encoder.h"
#include "workers/writer/file.h"

namespace leat::writer {

struct OutputOptions {
  config::Compression compression = config::Compression::kNone;
  int level = 3;
  int threads = 0;
  bool force = false;   // replace an existing target when publishing
  bool daemon = false;  // leatd's: --force is no advice
};

class Output {
 public:
  // Fails (kFatal): 78 for what a change of config or command line cures (the target exists, its folder
  // does not, it is a folder), 74 for the rest. A FIFO without a reader is waited for, up to 10 s, then
  // kRetry; so is a mount failing.
  [[nodiscard]] static Result<std::unique_ptr<Output>> open(std::string target, const OutputOptions& options);

  // Goes on with what an earlier writer has left: cut back to row.length, and behind it a new frame begins. A row
  // that is complete takes no more records. kFatal, 74: what was committed is not there any more. kRetry: another
  // process has it locked still.
  [[nodiscard]] static Result<std::unique_ptr<Output>> reopen(const ledger::Output& row,
                                                              const OutputOptions& options);

  ~Output();
  Output(const Output&) = delete;
  Output& operator=(const Output&) = delete;

  // After a failure nothing is left to do but to let it go.
  [[nodiscard]] Result<void> write(std::string_view records);

  // Everything written so far is decodable and on the disk; its length there, which is row().length from now on. Costs
  // nothing when there is nothing new.
  [[nodiscard]] Result<std::uint64_t> commit();

  // The last write has been: ends the last frame (of an output without records: one empty frame, so that it is valid).
  // The row is complete once it is committed.
  [[nodiscard]] Result<void> finish();

  // After finish: on the disk, and closed. A million outputs that wait need no descriptors.
  [[nodiscard]] Result<void> settle();

  // Precondition: finished and committed; in the ledger as complete. Gives it its name; the caller makes that durable
  // (sync_folder). kFatal: the target came into being meanwhile (unless forced).
  [[nodiscard]] Result<void> publish();

  void keep() { kept_ = true; }

  // Whether the ledger has not seen row() as it is.
  bool dirty() const { return !reported_; }
  void mark_reported() { reported_ = true; }

  bool special() const { return row_.temporary.empty(); }
  const std::string& target() const { return row_.target; }
  std::uint64_t record_bytes() const { return record_bytes_; }  // uncompressed
  std::uint64_t disk_bytes() const { return row_.length; }      // exact after commit
  std::uint64_t uncommitted_bytes() const { return record_bytes_ - row_.record_bytes; }
  std::size_t memory() const { return encoder_ ? encoder_->memory() : 0; }
  ledger::Output& row() { return row_; }

 private:
  Output(ledger::Output row, const OutputOptions& options);
  Result<void> check_free();
  Result<void> open_special(bool& special);
  Result<void> open_temporary();
  Result<void> reopen_temporary();
  Result<void> begin_encoding();
  Result<void> check_same_compression();

  ledger::Output row_;
  OutputOptions options_;
  Fd fd_;
  FileInfo info_;
  std::unique_ptr<Encoder> encoder_;
  std::uint64_t begin_ = 0;  // length on the disk when it was opened
  std::uint64_t record_bytes_ = 0;
  bool unsynced_ = false;
  bool kept_ = false;
  bool reported_ = false;
};

}  // namespace leat::writer
