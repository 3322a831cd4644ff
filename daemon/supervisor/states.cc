#include "daemon/supervisor/states.h"

#include <algorithm>
#include <array>
#include <span>

namespace leat::supervisor {

namespace {

template <class State>
struct Transition {
  State from;
  State to;
  std::string_view why;
};

template <class State>
struct Named {
  State state;
  std::string_view name;
};

using W = WorkerState;
constexpr std::array kWorkerNames{Named<W>{W::kStarting, "starting"},   Named<W>{W::kGreeted, "greeted"},
                                  Named<W>{W::kWelcomed, "welcomed"},   Named<W>{W::kReady, "ready"},
                                  Named<W>{W::kFinishing, "finishing"}, Named<W>{W::kFinished, "finished"},
                                  Named<W>{W::kLeaving, "leaving"},     Named<W>{W::kDismissed, "dismissed"},
                                  Named<W>{W::kLeft, "left"},           Named<W>{W::kDied, "died"},
                                  Named<W>{W::kJudged, "judged"}};

constexpr std::array kWorkerTransitions{Transition<W>{W::kStarting, W::kGreeted, "hello"},
                                        Transition<W>{W::kStarting, W::kDismissed, "killed"},
                                        Transition<W>{W::kStarting, W::kDied, "pidfd"},
                                        Transition<W>{W::kGreeted, W::kWelcomed, "welcome sent"},
                                        Transition<W>{W::kGreeted, W::kLeaving, "stop: drain"},
                                        Transition<W>{W::kGreeted, W::kDismissed, "stop: now"},
                                        Transition<W>{W::kGreeted, W::kDied, "pidfd"},
                                        Transition<W>{W::kWelcomed, W::kReady, "report: ready"},
                                        Transition<W>{W::kWelcomed, W::kFinishing, "stop: finish"},
                                        Transition<W>{W::kWelcomed, W::kLeaving, "stop: drain"},
                                        Transition<W>{W::kWelcomed, W::kDismissed, "stop: now"},
                                        Transition<W>{W::kWelcomed, W::kDied, "pidfd"},
                                        Transition<W>{W::kReady, W::kFinishing, "stop: finish"},
                                        Transition<W>{W::kReady, W::kLeaving, "stop: drain"},
                                        Transition<W>{W::kReady, W::kDismissed, "stop: now"},
                                        Transition<W>{W::kReady, W::kDied, "pidfd"},
                                        Transition<W>{W::kFinishing, W::kFinished, "report: finished"},
                                        Transition<W>{W::kFinishing, W::kLeaving, "stop: drain, or late"},
                                        Transition<W>{W::kFinishing, W::kDismissed, "stop: now, or late"},
                                        Transition<W>{W::kFinishing, W::kDied, "pidfd"},
                                        Transition<W>{W::kFinished, W::kLeaving, "stop: drain"},
                                        Transition<W>{W::kFinished, W::kDismissed, "stop: now"},
                                        Transition<W>{W::kFinished, W::kDied, "pidfd"},
                                        Transition<W>{W::kLeaving, W::kDismissed, "stop: now"},
                                        Transition<W>{W::kLeaving, W::kLeft, "pidfd"},
                                        Transition<W>{W::kDismissed, W::kLeft, "pidfd"},
                                        Transition<W>{W::kLeft, W::kJudged, "forgotten or restarted"},
                                        Transition<W>{W::kDied, W::kJudged, "forgotten or restarted"}};

using R = RunPhase;
constexpr std::array kPhaseNames{Named<R>{R::kStarting, "starting"}, Named<R>{R::kRunning, "running"},
                                 Named<R>{R::kDraining, "draining"}, Named<R>{R::kStopping, "stopping"},
                                 Named<R>{R::kEnding, "ending"},     Named<R>{R::kOver, "over"}};

constexpr std::array kPhaseTransitions{Transition<R>{R::kStarting, R::kRunning, "the reader is welcomed"},
                                       Transition<R>{R::kStarting, R::kEnding, "stopped, or failed"},
                                       Transition<R>{R::kRunning, R::kDraining, "drain"},
                                       Transition<R>{R::kRunning, R::kStopping, "stop"},
                                       Transition<R>{R::kRunning, R::kEnding, "end of input, or failed"},
                                       Transition<R>{R::kDraining, R::kStopping, "stop, or late"},
                                       Transition<R>{R::kDraining, R::kEnding, "drained, or failed"},
                                       Transition<R>{R::kStopping, R::kEnding, "committed, or late"},
                                       Transition<R>{R::kEnding, R::kOver, "all workers have gone"}};

template <class State, std::size_t kCount>
bool is_in(const std::array<Transition<State>, kCount>& table, State from, State to) {
  return std::any_of(table.begin(), table.end(),
                     [&](const Transition<State>& known) { return known.from == from && known.to == to; });
}

template <class State, std::size_t kCount>
std::string_view name_in(const std::array<Named<State>, kCount>& names, State state) {
  auto found = std::find_if(names.begin(), names.end(),
                            [&](const Named<State>& named) { return named.state == state; });
  return found == names.end() ? "?" : found->name;
}

template <class State, std::size_t kCount>
std::string drawn(const std::array<Transition<State>, kCount>& table) {
  std::string text = "stateDiagram-v2\n";
  text += "  [*] --> " + std::string(to_string(table.front().from)) + "\n";
  for (const auto& [from, to, why] : table) {
    text += "  " + std::string(to_string(from)) + " --> " + std::string(to_string(to)) + ": " +
            std::string(why) + "\n";
  }
  return text;
}

}  // namespace

std::string_view to_string(WorkerState state) {
  return name_in(kWorkerNames, state);
}
std::string_view to_string(RunPhase phase) {
  return name_in(kPhaseNames, phase);
}

bool may_follow(WorkerState from, WorkerState to) {
  return is_in(kWorkerTransitions, from, to);
}
bool may_follow(RunPhase from, RunPhase to) {
  return is_in(kPhaseTransitions, from, to);
}

std::string states_diagram() {
  return "```mermaid\n" + drawn(kPhaseTransitions) + "```\n\n```mermaid\n" + drawn(kWorkerTransitions) +
         "```\n";
}

}  // namespace leat::supervisor
