// What is known of the files that a listing shows: done, begun, not what they were, moved, or new. Where to continue in
// each, and what must stand there.
//
// A finished source costs a hash of its path and nothing else: no row, no open, no read. For others the ledger is
// asked. What this process has found out since its rows were last committed overrides the ledger.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "proto/base/result.h"
#include "workers/reader/byte_source.h"
#include "workers/reader/file.h"
#include "workers/reader/file_set.h"
#include "workers/reader/records.h"

namespace leat::reader {

// What to do about a file.
struct Decision {
  enum class Kind : std::uint8_t {
    kRead,     // from `at` on, if the file begins with `head` and `at.tail` stands before `at`
    kDone,     // nothing
    kChanged,  // tell: see reason
    kFailed,   // tell: it failed before, has not changed since, and another try would fail as well
    kIgnore,   // it was told before
  };
  Kind kind = Kind::kRead;
  std::uint64_t id = 0;
  Position at{};
  Mark head{};
  std::string moved_from{};  // not empty: it was known under this path, which is gone
  std::string reason{};
};

class Known {
 public:
  struct Options {
    bool growing = false;  // source.growing
    bool follow = false;   // files are checked again and again
    // each source has one output of its own, without {n}: it cannot be added to
    // once it has its name
    bool one_output_each = false;
    std::string remedy{"`leat run --reread {path}` reads it again from its start"};  // of a changed one
    bool numbered = false;  // outputs have {n}: what comes after one has a name goes into the next
  };

  // Knows nothing: everything is new, from number 1 on.
  explicit Known(Options options) : options_(options) {}
  // records: null knows nothing.
  [[nodiscard]] static Result<Known> load(std::unique_ptr<Records> records, Options options);

  // Is there nothing to do about a file that looks like this: done, or told and not changed since?
  bool nothing_to_do(const File& file);
  const std::string& remedy() const { return options_.remedy; }
  bool has_records() const { return records_ != nullptr; }

  // Checks the file only to tell whether it was moved. kRetry: the mount is unavailable; else the ledger's faults.
  [[nodiscard]] Result<Decision> decide(const File& file);

  // Following: what has become of a source; until committed(). Not following, each file is checked only once.
  void left(std::uint64_t id, const File& file, const Position& at, ledger::SourceState state,
            const std::string& reason = {}, bool retry = false);
  void done(const File& file) { done_.add(file.path, file.size, file.mtime_ns); }
  void quiet(const File& file) { quiet_.add(file.path, file.size, file.mtime_ns); }
  // The ledger knows all of this source that was told so far.
  void committed(std::uint64_t id);

  // Rows as they are committed.
  [[nodiscard]] Result<std::vector<ledger::Source>> open_sources() const;
  // For source.after, see records.h. Precondition: has_records().
  [[nodiscard]] Result<std::vector<ledger::Source>> after_due(std::uint64_t last, std::size_t count) const {
    return records_->after_due(last, count);
  }
  [[nodiscard]] Result<std::uint64_t> oldest_unfinished() const {
    return records_ == nullptr ? 0 : records_->oldest_unfinished();
  }
  // Is there an output of all sources that only waits for its name: nothing half read would be added to it?
  [[nodiscard]] Result<bool> output_left() const;
  // For a presence scan (presence.h): the next ones behind the id `last`, where they are now. Precondition: has_records().
  [[nodiscard]] Result<std::vector<ledger::View::Sought>> sought_after(std::uint64_t last,
                                                                       std::size_t count) const;
  [[nodiscard]] Result<std::int64_t> looked_s() const { return records_->looked_s(); }

 private:
  Result<std::optional<ledger::Source>> row_at(const std::string& path) const;
  Result<std::optional<ledger::Source>> moved_to(const File& file) const;
  Result<Decision> judge(const ledger::Source& row, const File& file);
  Decision changed(const ledger::Source& row, const File& file, const std::string& what);

  std::unique_ptr<Records> records_;
  Options options_;
  FileSet done_;
  FileSet quiet_;
  std::uint64_t next_id_ = 1;
  bool empty_ = true;                                        // no source was known at the start
  std::unordered_map<std::uint64_t, ledger::Source> since_;  // not committed yet, by id
  std::unordered_map<std::string, std::uint64_t> paths_;     // of since_
  std::unordered_map<std::uint64_t, std::string> moved_;     // where sources were found to be now
  std::unordered_set<std::uint64_t> reported_;               // changed ones
};

// A row's place as a position, and the other way round.
Position position_of(const ledger::Place& place);
ledger::Place place_of(const Position& at);

// "PATH: WHAT; it was read up to line N, offset N. REMEDY", with the path for each {path} of it.
std::string changed_text(const std::string& path, const std::string& what, const Position& at,
                         std::string remedy);

}  // namespace leat::reader
