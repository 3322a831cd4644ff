// What the I/O thread and the ReadAhead own together, each part with its own state.
#pragma once

#include <atomic>
#include <chrono>
#include <mutex>
#include <string>

#include "workers/reader/event_queue.h"
#include "workers/reader/read_ahead.h"

namespace leat::reader {

// From the first fault of something that is tried again and again until it works, the patience ends or the stop comes.
struct Outage {
  std::chrono::steady_clock::time_point since{};
  std::chrono::milliseconds wait{0};
  bool over = false;  // it lasts longer than source.give_up
  bool running() const { return wait.count() > 0; }
};

// What the I/O thread does, for whoever asks meanwhile.
class StatusBoard {
 public:
  void set(ReadAhead::Doing doing, const std::string& path);
  void waiting(const std::string& path, const std::string& fault,
               std::chrono::steady_clock::time_point since);
  void read_up_to(std::uint64_t consumed_bytes);  // nothing is failing
  void clear_fault();
  ReadAhead::Status status() const;

 private:
  void set_locked(ReadAhead::Doing doing, const std::string& path);

  mutable std::mutex mutex_;
  ReadAhead::Status status_;
};

// How long what fails is tried again, and when nothing that is seen can be believed.
class OutagePolicy {
 public:
  // Borrows all three.
  OutagePolicy(const ReadAhead::Options& options, EventQueue& queue, StatusBoard& board)
      : options_(options), queue_(queue), board_(board) {}

  // Waits before the next try; false: stopped. Not following, an outage that is over is not waited for any more.
  bool retry(Outage& outage, const std::string& path, const std::string& fault);
  // Is what source.require_mount names mounted?
  bool mount_is_there() const;
  std::string mount_fault() const;

 private:
  const ReadAhead::Options& options_;
  EventQueue& queue_;
  StatusBoard& board_;
};

struct ReadAhead::Shared {
  explicit Shared(Options given);

  const Options options;
  EventQueue queue;
  std::atomic<std::size_t> target;  // bytes of a chunk
  StatusBoard board;
  OutagePolicy outages{options, queue, board};
};

}  // namespace leat::reader
