// The states of a run and of its workers, and from which to which they go: each a table, and nothing else changes them.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "proto/base/result.h"

namespace leat::supervisor {

// Of one worker process, from its start to what follows from its end. One that is restarted is another process: kStarting.
enum class WorkerState : std::uint8_t {
  kStarting,   // it has not said hello yet
  kGreeted,    // it has, and waits for its welcome: for the epoch, and the reader for all others
  kWelcomed,   // it makes ready
  kReady,      // it works
  kFinishing,  // told to finish the record at hand
  kFinished,   // and has nothing at hand any more
  kLeaving,    // told to leave once its results are taken
  kDismissed,  // told to leave at once, or killed before it could be told
  kLeft,       // it has ended, as it was told to
  kDied,       // it has ended otherwise
  kJudged,     // and what follows from that is decided
};

// Of the pipeline.
enum class RunPhase : std::uint8_t {
  kStarting,  // the reader is not welcomed yet: nothing was read
  kRunning,
  kDraining,  // the reader takes in nothing new
  kStopping,  // the records at hand are finished, the rest comes again
  kEnding,    // the outcome is known, and the workers that are left are told to leave
  kOver,      // they have gone
};

std::string_view to_string(WorkerState state);
std::string_view to_string(RunPhase phase);

bool may_follow(WorkerState from, WorkerState to);
bool may_follow(RunPhase from, RunPhase to);
// The tables, as Mermaid draws them: docs/DESIGN.md has what this prints.
std::string states_diagram();

// A state, and its only way to change. In a debug build, one that may not follow is a bug that ends the program.
template <class State>
class Tracked {
 public:
  explicit Tracked(State first) : state_(first) {}
  void enter(State next) {
#ifndef NDEBUG
    LEAT_CHECK(may_follow(state_, next),
               std::string(to_string(next)) + " after " + std::string(to_string(state_)));
#endif
    state_ = next;
  }
  operator State() const {
    return state_;
  }

 private:
  State state_;
};

}  // namespace leat::supervisor
