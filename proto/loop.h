// The one place where a process waits: for sockets, descriptors and times, each with what is to be done then.
//
// It stands on zmq_poll (docs/DECISIONS.md), so a handler need not take all that has come: it is called again. Handlers never
// wait; what would bring more than can be taken is not watched meanwhile. Not thread-safe.
#pragma once

#include <chrono>
#include <deque>
#include <functional>
#include <optional>
#include <vector>

#include "proto/channel.h"

namespace leat::proto {

class Loop {
 public:
  using Clock = std::chrono::steady_clock;
  using Handler = std::function<void()>;
  using Id = std::size_t;
  static constexpr std::chrono::milliseconds kForever{-1};

  // now: for tests.
  explicit Loop(std::function<Clock::time_point()> now = Clock::now) : now_(std::move(now)) {}

  // What is to be read must outlive its source. Without a handler it ends the wait, and no more. All are watched at first.
  Id add(Socket& socket, Handler handler = {}) {
    return add({socket.handle(), 0, ZMQ_POLLIN, 0}, std::move(handler));
  }
  Id add(int fd, Handler handler = {}) { return add({nullptr, fd, ZMQ_POLLIN, 0}, std::move(handler)); }
  // For the first time when `period` has passed; then again after each.
  Id every(std::chrono::milliseconds period, Handler handler);
  // Once; set() starts it again.
  Id after(std::chrono::milliseconds delay, Handler handler);
  // When a timer is due next, from now on.
  void set(Id timer, std::chrono::milliseconds delay) { sources_[timer].due = now_() + delay; }
  // A timer that is not watched is stopped; watched again it starts with its whole period.
  void watch(Id id, bool on);
  // Not from its own handler. The id is another's later.
  void remove(Id id);

  // Waits until something has come or is due, and calls the handlers of that. False: it was not, for so long or until a signal came.
  bool run_once(std::chrono::milliseconds max_wait = kForever);
  // Until leave().
  void run();
  void leave() { left_ = true; }

 private:
  struct Source {
    Handler handler;
    std::optional<Clock::time_point> due;  // of a timer that is watched
    std::chrono::milliseconds period{0};   // of one that comes again
    bool used = true;
  };
  Id add(zmq::pollitem_t item, Handler handler);
  bool poll(std::chrono::milliseconds max_wait);

  std::function<Clock::time_point()> now_;
  std::deque<Source> sources_;          // a handler that adds one does not move that which is called
  std::vector<zmq::pollitem_t> items_;  // of each source; a timer's is never ready
  bool left_ = false;
};

}  // namespace leat::proto
