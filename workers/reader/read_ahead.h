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
#include <variant>
#include <vector>

#include "config/pipeline.h"
#include "workers/reader/decoder.h"
#include "workers/reader/line_reader.h"
#include "workers/reader/listing.h"

namespace leat::reader {

// The first event, once: what the first (believed) listing found.
struct Listed {
  std::uint64_t files = 0;  // to be read
  std::uint64_t done = 0;   // match, and Options::decide leaves them out (not following)
  std::uint64_t bytes = 0;  // on disk; following: of files that may still have to settle
  std::vector<Skipped> skipped;
};
// Sources are numbered 1, 2, 3 ... in the order they are read. After SourceOpened come its chunks in order,
// then one of SourceEnded and SourceFailed, then perhaps SourceChanged. One that cannot be opened is
// SourceFailed only.
struct SourceOpened {
  std::uint64_t id = 0;
  File file;  // as it was when opened
  config::Compression compression = config::Compression::kNone;
  Position start;
};
struct SourceChunk {
  std::uint64_t id = 0;
  Chunk chunk;
};
struct SourceEnded {
  std::uint64_t id = 0;
  Position end;  // lines in the source: end.line - 1; its uncompressed size: end.offset
};
struct SourceFailed {
  std::uint64_t id = 0;
  std::string path;
  Position at;  // behind the last line that was delivered
  std::string reason;
};
// The path shows another size or time than when it was opened. id 0: it was read before and a later poll
// noticed.
struct SourceChanged {
  std::uint64_t id = 0;
  std::string path;
  std::string reason;
};
// The last event, once. error: what made an end of it (the mount did not come back in time).
struct End {
  bool stopped = false;  // by request_stop(), the input was not used up
  std::optional<Error> error;
};
using Event = std::variant<Listed, SourceOpened, SourceChunk, SourceEnded, SourceFailed, SourceChanged, End>;

class ReadAhead {
 public:
  using Milliseconds = std::chrono::milliseconds;

  struct Options {
    config::Source source;
    std::uint64_t zstd_window_bytes = 8 * config::kMiB;
    std::size_t headroom = 0;              // of every payload
    std::size_t target_bytes = 16 * 1024;  // of the first chunks
    std::uint64_t queue_bytes =
        2 * config::kMiB;  // payload bytes in the queue; a longer chunk only into an empty one.
                           // On top come the chunk in the thread's hands and one buffer
    std::size_t queue_events = 1024;
    bool follow = false;              // poll and settle until stopped; else list once, take all as it is
    Milliseconds give_up{600'000};    // an outage longer than this: a source that fails while its path
                                      // answers is SourceFailed; else (not following) End with an error
    Milliseconds backoff{500};        // first wait after kRetry, doubling ...
    Milliseconds max_backoff{5'000};  // ... to this
    // Where to go on in a file, nullopt: leave it out (it is done). Empty: all from the start. Called once
    // for each file, in the thread, and perhaps after ReadAhead is gone: hold what it needs by value.
    std::function<std::optional<Position>(const File&)> decide;
    // Replaces Decoders, for tests. As `decide`.
    std::function<Result<Opened>(const std::string& path, const Position& from)> open;
  };

  enum class Doing : std::uint8_t {
    kStarting,
    kListing,
    kOpening,
    kReading,
    kBlocked,  // the queue is full
    kWaiting,  // to try again: see trouble
    kPolling,  // following: between two listings
    kEnded,
  };
  struct Status {
    Doing doing = Doing::kStarting;
    std::string path;                             // what it is at, if it is at a file
    std::chrono::steady_clock::time_point since;  // it does that
    std::uint64_t consumed_bytes = 0;             // on disk, of all files, for progress against Listed::bytes
    std::string trouble;                          // the fault that is being waited out; empty: none
    std::chrono::steady_clock::time_point trouble_since;
  };

  explicit ReadAhead(Options options);
  // Stops the thread and waits for it, but not long: one that hangs in a read() is left to end by itself.
  ~ReadAhead();
  ReadAhead(const ReadAhead&) = delete;
  ReadAhead& operator=(const ReadAhead&) = delete;

  std::optional<Event> try_pop();  // never blocks; after End nothing comes
  int fd() const;                  // readable exactly while try_pop() has something
  void set_target(std::size_t bytes);
  // No more files and chunks: the queued events, then End{stopped}, unless the thread hangs.
  void request_stop();
  Status status() const;

 private:
  struct Shared;
  class Thread;
  std::shared_ptr<Shared> shared_;
  std::thread thread_;
};

}  // namespace leat::reader
