#include "daemon/supervisor/states.h"

#include <fmt/format.h>

#include <array>
#include <cstddef>

namespace leat::supervisor {

namespace {

template <class State>
struct Row {
  struct Arrow {
    State to{};
    std::string_view why;  // empty: there is none
  };
  State from;
  std::string_view name;
  std::array<Arrow, 5> arrows;

  constexpr bool leads_to(State state) const {
    for (const Arrow& arrow : arrows) {
      if (arrow.to == state && !arrow.why.empty()) return true;
    }
    return false;
  }
};

using W = WorkerState;
constexpr Row<W>::Arrow kFinish{W::kFinishing, "stop: finish"}, kDrain{W::kLeaving, "stop: drain"},
    kNow{W::kDismissed, "stop: now"}, kDies{W::kDied, "pidfd"}, kLeaves{W::kLeft, "pidfd"},
    kJudge{W::kJudged, "forgotten or restarted"};
constexpr std::array<Row<W>, 11> kWorker{{
    {W::kStarting, "starting", {{{W::kGreeted, "hello"}, {W::kDismissed, "killed"}, kDies}}},
    {W::kGreeted, "greeted", {{{W::kWelcomed, "welcome sent"}, kDrain, kNow, kDies}}},
    {W::kWelcomed, "welcomed", {{{W::kReady, "report: ready"}, kFinish, kDrain, kNow, kDies}}},
    {W::kReady, "ready", {{kFinish, kDrain, kNow, kDies}}},
    {W::kFinishing, "finishing", {{{W::kFinished, "report: finished"}, kDrain, kNow, kDies}}},
    {W::kFinished, "finished", {{kDrain, kNow, kDies}}},
    {W::kLeaving, "leaving", {{kNow, kLeaves}}},
    {W::kDismissed, "dismissed", {{kLeaves}}},
    {W::kLeft, "left", {{kJudge}}},
    {W::kDied, "died", {{kJudge}}},
    {W::kJudged, "judged", {}},
}};

using R = RunPhase;
constexpr std::array<Row<R>, 6> kRun{{
    {R::kStarting,
     "starting",
     {{{R::kRunning, "the reader is welcomed"}, {R::kEnding, "stopped, or failed"}}}},
    {R::kRunning,
     "running",
     {{{R::kDraining, "drain"}, {R::kStopping, "stop"}, {R::kEnding, "end of input, or failed"}}}},
    {R::kDraining, "draining", {{{R::kStopping, "stop, or late"}, {R::kEnding, "drained, or failed"}}}},
    {R::kStopping, "stopping", {{{R::kEnding, "committed, or late"}}}},
    {R::kEnding, "ending", {{{R::kOver, "all workers have gone"}}}},
    {R::kOver, "over", {}},
}};

template <class Table>
constexpr bool in_order(const Table& table) {
  for (std::size_t i = 0; i < table.size(); ++i) {
    if (static_cast<std::size_t>(table[i].from) != i) return false;
  }
  return true;
}
static_assert(in_order(kWorker) && in_order(kRun));

template <class Table>
std::string drawn(const Table& table) {
  std::string text = fmt::format("```mermaid\nstateDiagram-v2\n  [*] --> {}\n", table.front().name);
  for (const auto& row : table) {
    for (const auto& [to, why] : row.arrows) {
      if (!why.empty()) text += fmt::format("  {} --> {}: {}\n", row.name, to_string(to), why);
    }
  }
  return text + "```\n";
}

}  // namespace

std::string_view to_string(WorkerState state) {
  return kWorker[static_cast<std::size_t>(state)].name;
}

std::string_view to_string(RunPhase phase) {
  return kRun[static_cast<std::size_t>(phase)].name;
}

bool may_follow(WorkerState from, WorkerState to) {
  return kWorker[static_cast<std::size_t>(from)].leads_to(to);
}

bool may_follow(RunPhase from, RunPhase to) {
  return kRun[static_cast<std::size_t>(from)].leads_to(to);
}

std::string states_diagram() {
  return drawn(kRun) + "\n" + drawn(kWorker);
}

}  // namespace leat::supervisor
