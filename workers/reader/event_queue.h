// The bounded queue between the I/O thread and the application thread.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <mutex>
#include <optional>
#include <vector>

#include "proto/base/fd.h"
#include "workers/reader/events.h"

namespace leat::reader {

class EventQueue {
 public:
  EventQueue(std::uint64_t max_bytes, std::size_t max_events);

  // The I/O thread. An event of so many payload bytes has room within the bounds, and in an empty queue.
  [[nodiscard]] bool has_room(std::uint64_t bytes) const;
  // Waits until there is room for one byte; for the event. False: stopped, and nothing was pushed.
  [[nodiscard]] bool wait_for_room();
  [[nodiscard]] bool push(Event event);
  void push_last(Event event);  // whatever the bounds; pushes after it are ignored
  // Waits; true: stopped meanwhile.
  [[nodiscard]] bool sleep(std::chrono::milliseconds time);
  // The same, but not longer than until something is committed.
  [[nodiscard]] bool sleep_until_commit(std::chrono::milliseconds time);
  std::vector<std::uint64_t> take_committed();

  // The application thread.
  std::optional<Event> try_pop();
  int fd() const { return ready_.get(); }
  void committed(std::uint64_t source);
  void stop();
  bool stopped() const;
  // Waits until push_last() was called, but not longer than `time`.
  bool wait_for_last(std::chrono::milliseconds time);

 private:
  bool fits(std::uint64_t bytes) const;  // locked
  void add(Event event);

  const std::uint64_t max_bytes_;
  const std::size_t max_events_;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<Event> events_;
  std::vector<std::uint64_t> committed_;  // sources, for the I/O thread
  std::uint64_t bytes_ = 0;
  bool stopped_ = false;
  bool last_ = false;
  Fd ready_;  // an eventfd, readable while events_ is not empty
};

}  // namespace leat::reader
