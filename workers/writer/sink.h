// Where the records go: one output for all sources, or one for each when the sink path holds {stem} or
// {path}.
//
// Records come in order, whole lines, by source. An output is opened when the first source is, so that an input
// without records still leaves an empty, valid file, and a run with nothing to do leaves nothing. With rotate, an
// output ends when the next record would take it over rotate.bytes, or when nothing came for rotate.idle; the next
// record opens the next {n}, which counts on from what the ledger knows (for each source, when there is one output
// each).
//
// What is durable, and what has its own name, moves with the ledger's commits: prepare, the caller's transaction,
// committed. No ledger, no progress: the ledger is asked which outputs are unfinished and whose a target is.
//
// Every failure ends the writer; kRetry: the mount is not there, or failing, and a new writer may have more luck.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "config/pipeline.h"
#include "proto/base/result.h"
#include "workers/ledger/ledger.h"
#include "workers/writer/output.h"
#include "workers/writer/publisher.h"
#include "workers/writer/target.h"

namespace leat::writer {

class Sink {
 public:
  using Clock = std::chrono::steady_clock;
  using WallClock = std::function<std::chrono::system_clock::time_point()>;

  // globs: source.paths. force: replace targets that exist. wall_clock: what {date} is read from. daemon: leatd's.
  Sink(config::Sink config, const std::vector<std::string>& globs, bool force,
       WallClock wall_clock = std::chrono::system_clock::now, bool daemon = false);

  // Before anything is read: the mount is there, the folder can be written, what an earlier writer has left is gone
  // on with (recovery.h); a commit is due when pending(). view: borrowed for the life of this. begun: this run has
  // opened outputs already, so an input without records needs no empty one. May be called again after kRetry.
  [[nodiscard]] Result<void> start(ledger::View& view, bool begun);

  // The first word of a source. id: not 0, its number in the ledger. path: absolute. from_start: it has no record in
  // any output yet, or has been started over, so that the output it had may be replaced (that of another file that had
  // its path before may not). Everything before is committed if the source was open before.
  [[nodiscard]] Result<void> source_opened(std::uint64_t id, const std::string& path, bool from_start);

  // records: whole lines, each ended by '\n', of a source that is open. The view is not kept.
  [[nodiscard]] Result<void> write(std::uint64_t id, std::string_view records);

  // The last word of a source: what there is of an output of its own is published with the next commit.
  [[nodiscard]] Result<void> source_ended(std::uint64_t id);

  // Nothing more of this source for now, but another run may continue with it: its output stays unfinished.
  [[nodiscard]] Result<void> source_suspended(std::uint64_t id);

  // Ends outputs that have been idle for rotate.idle. Idleness is counted from the first tick after a
  // write: call it about once a second.
  [[nodiscard]] Result<void> tick(Clock::time_point now);

  // Ends all outputs: they are published with the next commit. Only commits may follow.
  [[nodiscard]] Result<void> finish();

  // The same for an output of all sources that has records, if the next one gets another number: a stop of what follows.
  [[nodiscard]] Result<void> finish_numbered();

  // Before a commit: everything written so far is on the disk; adds the rows that tell the ledger. They belong to this
  // and are not to be touched by anybody else before committed().
  [[nodiscard]] Result<void> prepare(ledger::Commit& commit);

  // The commit has been: gives the outputs that are complete their names. The ledger hears of that with the next one.
  [[nodiscard]] Result<void> committed();

  // There are rows to commit, whatever was written.
  bool pending() const { return publisher_.pending() || !suspended_.empty() || !forgotten_.empty(); }
  // Outputs wait for a commit, and should not for long.
  bool crowded() const { return publisher_.crowded() || suspended_.size() >= kMaxSuspended; }

  // The one output of all sources, if it was published and is not there now; empty: it is, or there are several.
  [[nodiscard]] Result<std::string> missing_output();

  // What a person should hear of start(), once.
  std::vector<std::string> take_notes() { return std::exchange(notes_, {}); }
  // What was published since the last call.
  std::vector<Published> take_published() { return publisher_.take_published(); }

  std::uint64_t uncommitted_bytes() const { return uncommitted_; }  // record bytes, for limits.commit.bytes
  std::size_t open_outputs() const;
  bool per_source() const { return target_.per_source(); }

 private:
  static constexpr std::size_t kMaxSuspended = 32;

  // One output after another under numbers 1, 2, 3 ...
  struct Stream {
    std::uint64_t id = 0;  // of the source; 0: of all
    std::string source;    // its path; empty: all sources
    bool from_start = true;
    std::uint64_t next_n = 1;
    std::unique_ptr<Output> output;  // null between a rotation and the next record
    bool active = false;             // written since the last tick
    Clock::time_point idle_since{};
  };

  Stream& stream_of(std::uint64_t id);
  Result<void> start_for_all();
  Result<void> check_mounted() const;
  tl::unexpected<Error> or_unmounted(const Error& error) const;
  Result<void> open(Stream& stream);
  Result<void> retire(Stream& stream);
  Result<bool> may_replace(const Stream& stream, const std::string& target);
  Result<void> check_other_sources(const Stream& stream, const std::string& target);
  std::size_t room(const Stream& stream, std::string_view records) const;

  config::Sink config_;
  std::vector<std::string> globs_;
  Target target_;
  OutputOptions options_;
  WallClock wall_clock_;
  ledger::View* view_ = nullptr;
  bool begun_ = false;
  std::map<std::uint64_t, Stream> streams_;  // by source; one for all is under 0
  std::vector<std::unique_ptr<Output>> suspended_;
  Publisher publisher_;
  std::set<std::string> new_names_;       // folders with temporaries that the disk may not know yet
  std::vector<std::uint64_t> forgotten_;  // rows of outputs that another has taken the place of
  std::unordered_map<std::string, std::string> claims_;  // target to source, of outputs new to the ledger
  std::vector<std::string> notes_;
  std::uint64_t uncommitted_ = 0;
};

}  // namespace leat::writer
