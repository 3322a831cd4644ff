// Where the records go: one output for all sources, or one for each when the sink path holds {stem} or
// {path}.
//
// Records come in order, whole lines, by source. An output is open from check_start (one for all) or
// source_opened (one each), so that an input without records still leaves an empty, valid file. With
// rotate, an output is published when the next record would take it over rotate.bytes, or when nothing
// came for rotate.idle; the next record opens the next {n}, which counts from 1 in each run (for each
// source, when there is one output each).
//
// Every failure ends the run (kFatal), but for kRetry of check_start: the mount or the reader of a FIFO
// is not there yet. Remembers the target and the name of every source of the run, to refuse two sources
// with one target.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "config/pipeline.h"
#include "proto/result.h"
#include "workers/writer/output.h"
#include "workers/writer/target.h"

namespace leat::writer {

struct Published {
  std::string path;
  std::uint64_t record_bytes = 0;  // uncompressed
  std::uint64_t disk_bytes = 0;
};

class Sink {
 public:
  using Clock = std::chrono::steady_clock;
  using WallClock = std::function<std::chrono::system_clock::time_point()>;

  // globs: source.paths. force: replace targets that exist. wall_clock: what {date} is read from.
  Sink(config::Sink config, const std::vector<std::string>& globs, bool force,
       WallClock wall_clock = std::chrono::system_clock::now);

  // To be called once, before anything is read: the mount is there, the folder can be written, the
  // target is free, no other leat is at it.
  [[nodiscard]] Result<void> check_start();

  // The first word of a source. id: not 0, not used before in this run. path: absolute.
  [[nodiscard]] Result<void> source_opened(std::uint64_t id, const std::string& path);

  // records: whole lines, each ended by '\n', of a source that is open. The view is not kept.
  [[nodiscard]] Result<void> write(std::uint64_t id, std::string_view records);

  // The last word of a source, ended or failed: what there is of an output of its own is published.
  [[nodiscard]] Result<void> source_ended(std::uint64_t id);

  // Closes outputs that have been idle for rotate.idle. Idleness is counted from the first tick after a
  // write: call it about once a second.
  [[nodiscard]] Result<void> tick(Clock::time_point now);

  // Everything written so far can be decoded and is on the disk. Returns how many record bytes were not
  // before.
  [[nodiscard]] Result<std::uint64_t> commit();

  // Publishes everything. After it, or after any failure, only abandon() and the questions are left.
  [[nodiscard]] Result<void> finish();

  // Removes the temporaries of unfinished outputs; keeps what is published. The destructor does the same.
  void abandon() { streams_.clear(); }

  // What was published since the last call.
  std::vector<Published> take_published() { return std::exchange(published_, {}); }

  std::uint64_t uncommitted_bytes() const;  // record bytes, for limits.commit.bytes
  std::size_t memory() const;               // bytes held by open outputs
  std::size_t open_outputs() const;
  bool per_source() const { return target_.per_source(); }

 private:
  // One output after another under numbers 1, 2, 3 ...
  struct Stream {
    std::string source;  // empty: all sources
    std::uint64_t next_n = 1;
    std::unique_ptr<Output> output;  // null between a rotation and the next record
    bool active = false;             // written since the last tick
    Clock::time_point idle_since{};
  };

  Stream& stream_of(std::uint64_t id);
  Result<void> open(Stream& stream);
  Result<void> publish(Stream& stream);
  Result<void> claim(const std::string& target, const std::string& source);
  std::size_t room(const Stream& stream, std::string_view records) const;

  config::Sink config_;
  Target target_;
  OutputOptions options_;
  WallClock wall_clock_;
  std::map<std::uint64_t, Stream> streams_;               // by source; one for all is under 0
  std::unordered_map<std::string, std::string> claimed_;  // target to source
  std::vector<Published> published_;
};

}  // namespace leat::writer
