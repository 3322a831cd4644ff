// One output file, from creation to publishing.
//
// An output grows under a temporary name beside its target, `.NAME.leat-tmp`, and gets its own name, in
// one step, when it is complete: a reader of the folder never sees half a file. (leat itself ignores
// names that begin with '.'.) While it is open the temporary is locked; a temporary that nobody has
// locked was left by a run that was killed, holds nothing that counts, and is removed by the next one.
//
// A target that is a FIFO, a character device or /dev/stdout is written as it is: no temporary, no
// rename, no sync.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "config/pipeline.h"
#include "proto/result.h"
#include "workers/stage/fd.h"
#include "workers/writer/encoder.h"

namespace leat::writer {

struct OutputOptions {
  config::Compression compression = config::Compression::kNone;
  int level = 3;
  int threads = 0;
  bool force = false;  // replace an existing target when publishing
};

class Output {
 public:
  // Fails (kFatal): 78 for what a change of config or command line cures (the target exists, its folder
  // does not, it is a folder), 74 for the rest. A FIFO without a reader is waited for, up to 10 s, then
  // kRetry.
  [[nodiscard]] static Result<std::unique_ptr<Output>> open(std::string target, const OutputOptions& options);

  // Without publish() before: abandon().
  ~Output() { abandon(); }
  Output(const Output&) = delete;
  Output& operator=(const Output&) = delete;

  // After a failure of write, commit or publish only abandon() is left.
  [[nodiscard]] Result<void> write(std::string_view records);

  // Everything written so far is decodable and on the disk. Returns how many record bytes were not before.
  [[nodiscard]] Result<std::uint64_t> commit();

  // Commits, gives the output its name and closes it. Fails if the target came into being meanwhile,
  // unless forced.
  [[nodiscard]] Result<void> publish();

  // Removes the temporary. Nothing after publish().
  void abandon();

  const std::string& target() const { return target_; }
  std::uint64_t record_bytes() const { return record_bytes_; }        // uncompressed
  std::uint64_t disk_bytes() const { return encoder_->bytes_out(); }  // exact after commit and publish
  std::uint64_t uncommitted_bytes() const { return record_bytes_ - committed_; }
  std::size_t memory() const { return encoder_->memory(); }

 private:
  Output(std::string target, bool force) : target_(std::move(target)), force_(force) {}
  Result<void> open_special(bool& special);
  Result<void> open_temporary();
  Result<void> remove_stale();
  Result<void> give_name();

  std::string target_;
  std::string temporary_;  // empty: the target is special and written in place
  bool force_;
  stage::Fd fd_;
  std::unique_ptr<Encoder> encoder_;
  std::uint64_t record_bytes_ = 0;
  std::uint64_t committed_ = 0;
};

// The temporary name of a target.
std::string temporary_of(std::string_view target);

}  // namespace leat::writer
