// What the I/O thread and the ReadAhead own together, and how an outage is waited out.
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

struct ReadAhead::Shared {
  explicit Shared(Options given);

  void set(Doing doing, const std::string& path);
  // Waits before the next try; false: stopped. Not following, an outage that is over is not waited for any more.
  bool retry(Outage& outage, const std::string& path, const std::string& fault);
  void clear_fault();

  // Is what source.require_mount names mounted?
  bool mount_is_there() const;
  std::string mount_fault() const;

  const Options options;
  EventQueue queue;
  std::atomic<std::size_t> target;
  mutable std::mutex mutex;  // of status
  Status status;
};

}  // namespace leat::reader
