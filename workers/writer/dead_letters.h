// The dead-letter file: one line (proto/dead_letter.h) for each record that could not be handled. Appended under its own name.
//
// As the file has no temporary name, only the ledger tells what of it counts: `file()` goes into every commit, and what is
// behind its length at the start was never committed.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>

#include "proto/base/fd.h"
#include "proto/base/result.h"
#include "proto/buffer.h"
#include "proto/dead_letter.h"
#include "workers/ledger/ledger.h"

namespace leat::writer {

using DeadLetter = proto::DeadLetterView;

class DeadLetters {
 public:
  // path: absolute.
  explicit DeadLetters(std::string path) { file_.path = std::move(path); }

  // What start() with the same arguments would refuse is refused, and nothing is changed; a file that exists stays open and
  // locked for start().
  [[nodiscard]] Result<void> check(const std::optional<ledger::DeadLetterFile>& known, bool whole);

  // Before anything is read: the folder can be written; a file that exists is opened and locked. known: what the ledger
  // has. Of a file it knows, what is behind the committed length is cut off, unless `whole` says that the last run has
  // committed all it wrote: then that is another's. Of any other, a last line without its newline, left by a crash,
  // is cut off. A file that is missing is created by the first append. kFatal, 78: another leat has it, or its last
  // line is not one of ours, so that cutting might hurt. kRetry: ask again.
  [[nodiscard]] Result<void> start(const std::optional<ledger::DeadLetterFile>& known, bool whole);

  // Buffered: on the disk after commit(). Needs memory for the encoded record, at most 6 times its size.
  [[nodiscard]] Result<void> append(const DeadLetter& letter);

  // Everything appended is on the disk, and file() says how much there is.
  [[nodiscard]] Result<void> commit();

  // For the ledger; of a pipe or a device nothing, as it cannot be cut back.
  std::optional<ledger::DeadLetterFile> file() const {
    return regular_ ? std::optional(file_) : std::nullopt;
  }
  // It is not what the ledger has.
  bool pending() const { return dirty_ || unsynced_ || !out_.empty(); }
  void committed() { dirty_ = false; }

  std::uint64_t count() const { return count_; }  // appended by this object

  // What a person should hear about ("cut off ..."), once; mostly empty.
  std::string take_note() { return std::exchange(note_, {}); }

 private:
  Result<void> try_start(const std::optional<ledger::DeadLetterFile>& known, bool whole);
  Result<void> try_check(const std::optional<ledger::DeadLetterFile>& known, bool whole);
  bool is_ours(const std::optional<ledger::DeadLetterFile>& known) const;
  Result<void> open();
  Result<void> check_absent() const;
  Result<void> cut_uncommitted(const ledger::DeadLetterFile& known, std::uint64_t size, bool whole);
  Result<void> cut_partial_line(std::uint64_t size);
  Result<std::uint64_t> end_of_letters(std::uint64_t size);
  Result<void> flush();
  const std::string& path() const { return file_.path; }

  ledger::DeadLetterFile file_;
  Fd fd_;
  bool regular_ = true;
  bool unsynced_ = false;
  bool dirty_ = false;
  Buffer out_;
  std::uint64_t count_ = 0;
  std::string note_;
};

}  // namespace leat::writer
