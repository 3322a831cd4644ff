// Signals as something to read: SIGINT, SIGTERM and SIGHUP come through a descriptor while this lives.
#pragma once

#include <chrono>
#include <csignal>
#include <cstdint>
#include <optional>

#include "proto/base/fd.h"

namespace leat::supervisor {

class Signals {
 public:
  // Blocks them in the calling thread. A SIGHUP that was ignored when we started (nohup) stays ignored;
  // SIGINT is taken even so, as a script's background jobs start with it ignored and still want to be
  // stopped. SIGPIPE is ignored from then on: a reader of our output that has gone is an error of write(2).
  // Throws std::system_error.
  Signals();
  Signals(const Signals&) = delete;
  Signals& operator=(const Signals&) = delete;
  ~Signals();

  int fd() const { return fd_.get(); }
  struct Taken {
    int stops = 0;    // SIGINT, SIGTERM
    int hangups = 0;  // SIGHUP
  };
  Taken take();  // what has come since the last call

 private:
  sigset_t before_{};
  Fd fd_;
};

// The second request to stop means "at once", but not one that comes with the first: `timeout -s INT` signals the process and
// then its group, and a terminal may send SIGINT and SIGHUP together.
class StopRequests {
 public:
  using Clock = std::chrono::steady_clock;
  enum What : std::uint8_t { kNone, kFirst, kAgain };
  static constexpr std::chrono::milliseconds kOneRequest{500};

  What take(bool asked, Clock::time_point now = Clock::now()) {
    if (!asked) return kNone;
    if (!first_) {
      first_ = now;
      return kFirst;
    }
    return now - *first_ < kOneRequest ? kNone : kAgain;
  }

 private:
  std::optional<Clock::time_point> first_;
};

}  // namespace leat::supervisor
