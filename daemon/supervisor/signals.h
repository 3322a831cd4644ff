// Signals as something to read: SIGINT, SIGTERM and SIGHUP come through a descriptor while this lives.
#pragma once

#include <csignal>

#include "workers/stage/fd.h"

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
  stage::Fd fd_;
};

}  // namespace leat::supervisor
