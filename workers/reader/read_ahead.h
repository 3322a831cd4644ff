// The thread that touches the mount. It lists, opens and reads ahead into a bounded queue of events, so that
// a read() that hangs on a dead server stops nothing else in the reader.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "config/pipeline.h"
#include "proto/payload_pool.h"
#include "workers/reader/decoder.h"
#include "workers/reader/events.h"
#include "workers/reader/known.h"

namespace leat::reader {

class ReadAhead {
 public:
  using Milliseconds = std::chrono::milliseconds;

  struct Options {
    // Of it: an outage longer than give_up: a source that fails while its path answers is SourceFailed; else (not
    // following) End with an error.
    config::Source source;
    std::vector<std::string> outputs = {};  // sink.path, dead_letter.path: never to be read
    std::uint64_t zstd_window_bytes = 8 * config::kMiB;
    std::shared_ptr<const proto::PayloadPool> payloads = std::make_shared<proto::PayloadPool>();
    std::size_t target_bytes = 16 * 1024;  // of the first chunks
    // payload bytes in the queue; a longer chunk only into an empty one.
    // On top come the chunk in the thread's hands and one buffer
    std::uint64_t queue_bytes = 2 * config::kMiB;
    std::size_t queue_events = 1024;
    bool follow = false;              // poll and settle until stopped; else list once, take all as it is
    Milliseconds backoff{500};        // first wait after kRetry, doubling ...
    Milliseconds max_backoff{5'000};  // ... to this
    Milliseconds commit_patience{
        10'000};  // source.after: how long the end waits for the last sources to be committed
    Milliseconds day{std::chrono::hours(24)};  // between two polls for the known sources
    // What earlier runs have left; from here on the thread's alone. Null: nothing.
    std::shared_ptr<Known> known;
    // Replaces Decoders, for tests. Called in the thread, and perhaps after ReadAhead is gone: hold what it needs by
    // value.
    std::function<Result<Opened>(const std::string& path, const Position& from)> open;
  };

  enum class Doing : std::uint8_t {
    kStarting,
    kListing,
    kOpening,
    kReading,
    kBlocked,    // the queue is full
    kWaiting,    // to try again: see fault
    kPolling,    // following: between two listings
    kFinishing,  // source.after, or waiting for a commit to do it
    kEnded,
  };
  struct Status {
    Doing doing = Doing::kStarting;
    std::string path;                             // what it is at, if it is at a file
    std::chrono::steady_clock::time_point since;  // it does that
    std::uint64_t consumed_bytes = 0;             // on disk, of all files, for progress against Listed::bytes
    std::string fault;                            // the fault that is being waited out; empty: none
    std::chrono::steady_clock::time_point fault_since;
  };

  explicit ReadAhead(Options options);
  // Stops the thread and waits for it, but not long: one that hangs in a read() is left to end by itself.
  ~ReadAhead();
  ReadAhead(const ReadAhead&) = delete;
  ReadAhead& operator=(const ReadAhead&) = delete;

  std::optional<Event> try_pop();  // never blocks; after End nothing comes
  int fd() const;                  // readable exactly while try_pop() has something
  void set_target(std::size_t bytes);
  // The last event of this source (ended, failed or changed) is durable, or with 0 a parts of a presence scan, or that the input
  // was read: commits.h keeps count.
  void committed(std::uint64_t source);
  // No more files and chunks: the queued events, then End{stopped}, unless the thread hangs.
  void request_stop();
  Status status() const;

  struct Shared;  // shared.h

 private:
  std::shared_ptr<Shared> shared_;
  std::thread thread_;
};

}  // namespace leat::reader
