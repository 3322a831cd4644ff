#include "daemon/supervisor/states.h"

#include <doctest/doctest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <fstream>
#include <sstream>
#include <string>

namespace leat::supervisor {
namespace {

TEST_CASE("a worker is never welcomed before it has said hello, and never at work after its end") {
  CHECK(may_follow(WorkerState::kStarting, WorkerState::kGreeted));
  CHECK_FALSE(may_follow(WorkerState::kStarting, WorkerState::kWelcomed));
  for (int to = 0; to <= static_cast<int>(WorkerState::kDied); ++to) {
    for (auto ended : {WorkerState::kLeft, WorkerState::kDied, WorkerState::kJudged})
      CHECK_FALSE(may_follow(ended, static_cast<WorkerState>(to)));
  }
}

TEST_CASE("one that was told to leave has left, one that was not has died") {
  for (int from = 0; from <= static_cast<int>(WorkerState::kDismissed); ++from) {
    const auto state = static_cast<WorkerState>(from);
    const bool told = state == WorkerState::kLeaving || state == WorkerState::kDismissed;
    CHECK(may_follow(state, WorkerState::kLeft) == told);
    CHECK(may_follow(state, WorkerState::kDied) != told);
  }
}

TEST_CASE("a run that stops does not run again, and each phase but the first ends it") {
  CHECK_FALSE(may_follow(RunPhase::kStopping, RunPhase::kRunning));
  CHECK_FALSE(may_follow(RunPhase::kStopping, RunPhase::kDraining));
  CHECK_FALSE(may_follow(RunPhase::kStarting, RunPhase::kStopping));
  for (auto phase : {RunPhase::kStarting, RunPhase::kRunning, RunPhase::kDraining, RunPhase::kStopping})
    CHECK(may_follow(phase, RunPhase::kEnding));
  CHECK(may_follow(RunPhase::kEnding, RunPhase::kOver));
  CHECK_FALSE(may_follow(RunPhase::kOver, RunPhase::kEnding));
}

#ifndef NDEBUG
// How a process that makes this step ends: 0, or the signal.
template <class State>
int end_of(State from, State to) {
  const pid_t pid = ::fork();
  if (pid == 0) {
    ::signal(SIGABRT, SIG_DFL);  // doctest has its own
    ::close(STDERR_FILENO);
    Tracked<State>(from).enter(to);
    ::_exit(0);
  }
  int status = 0;
  ::waitpid(pid, &status, 0);
  return WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status);
}

TEST_CASE("a debug build ends at a step that is not in its table") {
  CHECK(end_of(WorkerState::kStarting, WorkerState::kGreeted) == 0);
  CHECK(end_of(WorkerState::kStarting, WorkerState::kReady) == SIGABRT);
  CHECK(end_of(RunPhase::kStarting, RunPhase::kRunning) == 0);
  CHECK(end_of(RunPhase::kOver, RunPhase::kRunning) == SIGABRT);
}
#endif

TEST_CASE("docs/DESIGN.md shows the states as they are") {
  std::ifstream file(std::string(LEAT_SOURCE_DIR) + "/docs/DESIGN.md");
  std::ostringstream text;
  text << file.rdbuf();
  const bool shown = text.str().find(states_diagram()) != std::string::npos;
  CHECK_MESSAGE(shown, "put this there:\n", states_diagram());
}

}  // namespace
}  // namespace leat::supervisor
