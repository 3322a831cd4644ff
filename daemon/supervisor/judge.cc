// What follows from a death. A filter or processor is replaced, and what it held comes again; the reader or the writer takes
// all with it. A processor that had joined is not ours to replace.
#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "daemon/supervisor/supervisor.h"

namespace leat::supervisor {

using proto::Stage;

namespace {
constexpr milliseconds kLastWords{300};
}  // namespace

std::uint64_t Supervisor::progress() {
  if (team_.writer().page) judgement_.saw_commits(read((*team_.writer().page)->commits));
  return judgement_.progress();
}

void Supervisor::judge_deaths() {
  auto is_due = [](const Worker& worker) {
    const bool left = worker.state == WorkerState::kLeft;
    if (!left && worker.state != WorkerState::kDied) return false;
    // By a signal: there were no last words. A worker of which all is known need not be waited for either.
    bool spoke = worker.child->exit_code() < 0 || !worker.retry.empty() || left;
    return spoke || Clock::now() - worker.ended >= kLastWords;
  };
  while (phase_ < RunPhase::kEnding) {
    auto& workers = team_.workers();
    auto due = std::find_if(workers.begin(), workers.end(), is_due);
    if (due == workers.end()) return;
    const bool left = due->state == WorkerState::kLeft;
    due->state.enter(WorkerState::kJudged);
    judge(*due, left);
  }
}

// One with a slot of its own in the pool (it had joined, or it was draining): with it goes the slot.
void Supervisor::judge(Worker& worker, bool left) {
  if (!worker.joined && !worker.draining) return judge_own(worker);
  if (left) {
    note_event("worker-left", worker);
  } else {
    observer_.warning("worker-died", worker.obituary());
    blame(worker);
  }
  take_out(worker);
  team_.remove(worker);
}

void Supervisor::judge_own(Worker& worker) {
  progress();
  const Stage stage = worker.slot.stage;
  Verdict verdict =
      judgement_.judge({stage, worker.child->exit_code(), worker.obituary(), worker.retry, Clock::now()});
  if (verdict.exit_code != kExitOk) return end(verdict.exit_code, std::move(verdict.text));
  if (!verdict.event.empty()) observer_.warning(verdict.event, verdict.text);
  if (!dies_alone(stage)) return replace_all(worker, verdict.pause);
  blame(worker);
  take_out(worker);
  worker.start_at = Clock::now() + verdict.pause;
}

// A filter or processor that has gone: nothing is dealt to it any more, and what it held is sent again.
void Supervisor::take_out(Worker& worker) {
  team_.send_to_dealers(worker, proto::MemberRemoved{worker.slot.index, worker.instance});
  for (Worker& other : team_.workers()) {
    if (other.draining) other.draining->drained(worker.instance);
  }
  descriptors_.forget(worker.instance);
  team_.send_to_reader(proto::Resend{worker.instance});
}

// Which record was it at? The third death at one makes it a dead letter.
void Supervisor::blame(Worker& worker) {
  if (!worker.page) return;
  std::uint64_t source = read((*worker.page)->at_source);
  std::uint64_t offset = read((*worker.page)->at_offset);
  if (source == 0) return;
  if (!judgement_.blame(source, offset)) return;
  constexpr int kDeaths = Deaths::kMostAtARecord;
  proto::Quarantine record{source, offset, worker.slot.stage, std::uint32_t{kDeaths},
                           fmt::format("the {} {}, {} times at this record", to_string(worker.slot.stage),
                                       worker.fate(), kDeaths)};
  observer_.warning("record-quarantined",
                    fmt::format("the record at offset {} of source {} becomes a dead letter: {}", offset,
                                source, record.reason));
  team_.send_to_reader(record);
}

void Supervisor::replace_all(Worker& cause, milliseconds pause) {
  if (pause.count() > 0) {
    // No worker runs meanwhile: the others' batches are void anyway.
    cause.start_at = Clock::now() + pause;
    return;
  }
  progress();
  judgement_.start_over();
  liveness_.start_over(Clock::now());
  epoch_ = 0;
  drain_sent_ = false;
  pool_.window_is_for(0);
  descriptors_.forget_all();
  team_.start_all_again();
}

void Supervisor::fill_slots() {
  Clock::time_point now = Clock::now();
  for (Worker& worker : team_.workers()) {
    if (!worker.start_at || *worker.start_at > now) continue;
    worker.start_at.reset();
    if (!dies_alone(worker.slot.stage)) return replace_all(worker, milliseconds{0});
    team_.start_again(worker);
  }
}

}  // namespace leat::supervisor
