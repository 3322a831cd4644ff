// What follows from a death. A filter or processor is replaced, and what it held comes again; the reader or the writer takes
// all with it. A processor that had joined is not ours to replace.
#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "config/scalar.h"
#include "daemon/supervisor/supervisor.h"

namespace leat::supervisor {

using proto::Stage;

namespace {
constexpr milliseconds kLastWords{300};
constexpr std::size_t kRecordsRemembered = 10'000;  // at which a worker died
}  // namespace

std::string Supervisor::obituary(const Worker& worker) const {
  std::string at = worker.activity();
  if (!at.empty()) at = fmt::format(" Its activity: {}.", at);
  std::string fate = worker.killed_for.empty() ? worker.child->fate() : worker.killed_for;
  return fmt::format("{} {}.{}", worker.title(), fate, at);
}

// Grows with whatever shows that the run gets on.
std::uint64_t Supervisor::progress() {
  if (team_.writer().page) commits_seen_ = read((*team_.writer().page)->commits);
  return commits_before_ + commits_seen_ + quarantined_;
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
    observer_.happened("worker-left",
                       {{"worker", slot_name(worker.slot)}, {"pid", std::to_string(worker.child->pid())}});
  } else {
    observer_.warning("worker-died", obituary(worker));
    blame(worker);
  }
  take_out(worker);
  team_.remove(worker);
}

void Supervisor::judge_own(Worker& worker) {
  int code = worker.child->exit_code();
  std::string text = obituary(worker);
  if (worker.retry.empty() && code >= kExitUsage && code <= kExitConfig) {
    return end(code, fmt::format("{} The run ends here", text));
  }
  if (job_.volatile_state && !dies_alone(worker.slot.stage)) {
    return end(kExitBug, fmt::format("{} The run ends here: what went into {} cannot be taken back", text,
                                     job_.pipeline.sink.path));
  }
  milliseconds pause{0};
  if (!worker.retry.empty() && dies_alone(worker.slot.stage)) {
    // It could not start a program (no process numbers, no descriptors left): the others do without, for as long as a sink
    // may be unavailable.
    constexpr milliseconds kTryAgain{1'000};
    if (!pool_failing_since_ || pool_failing_at_ != progress()) {
      pool_failing_since_ = Clock::now();
      pool_failing_at_ = progress();
      observer_.warning("worker-failed", fmt::format("{}; trying again", worker.retry));
    }
    if (!job_.follow && Clock::now() - *pool_failing_since_ > job_.pipeline.source.give_up) {
      return end(kExitIo, fmt::format("{}; for more than {} (source.give_up). Run again to continue",
                                      worker.retry, config::format_duration(job_.pipeline.source.give_up)));
    }
    pause = kTryAgain;
  } else if (!worker.retry.empty()) {
    // The sink is unavailable: that is no fault of the worker, and lasts as long as it lasts.
    if (!sink_failing_since_) {
      sink_failing_since_ = Clock::now();
      observer_.warning("sink-unavailable", fmt::format("{}; trying again until it works", worker.retry));
    }
    sink_fault_ = worker.retry;
    pause = milliseconds{500};
  } else {
    int in_a_row = deaths_.in_a_row(worker.slot.stage, progress());
    if (in_a_row >= Deaths::kMostInARow) {
      return end(kExitBug,
                 fmt::format("{} {} of them died and nothing was committed between. The run ends here; "
                             "run again to continue",
                             text, in_a_row));
    }
    pause = Deaths::pause(in_a_row);
    observer_.warning("worker-died", fmt::format("{} It is restarted", text));
  }
  if (!dies_alone(worker.slot.stage)) return replace_all(worker, pause);
  blame(worker);
  take_out(worker);
  worker.start_at = Clock::now() + pause;
}

// A filter or processor that has gone: nothing is dealt to it any more, and what it held is sent again.
void Supervisor::take_out(Worker& worker) {
  send_to_dealers(worker, proto::MemberRemoved{worker.slot.index, worker.instance});
  if (worker.slot.stage == Stage::kFilter) dealer_has_gone(worker);
  descriptors_.forget(worker.instance);
  Worker& reader = team_.reader();
  if (reader.is_welcomed()) static_cast<void>(team_.send(reader, proto::Resend{worker.instance}, control_));
}

// Which record was it at? The third death at one makes it a dead letter.
void Supervisor::blame(Worker& worker) {
  if (!worker.page) return;
  std::uint64_t source = read((*worker.page)->at_source);
  std::uint64_t offset = read((*worker.page)->at_offset);
  if (source == 0) return;
  if (deaths_.records() > kRecordsRemembered) deaths_.forget_records();
  int deaths = deaths_.at_record(source, offset);
  if (deaths < Deaths::kMostAtARecord) return;
  deaths_.forget_record(source, offset);
  std::string fate = worker.killed_for.empty() ? worker.child->fate() : worker.killed_for;
  proto::Quarantine record{
      source, offset, worker.slot.stage, static_cast<std::uint32_t>(deaths),
      fmt::format("the {} {}, {} times at this record", to_string(worker.slot.stage), fate, deaths)};
  observer_.warning("record-quarantined",
                    fmt::format("the record at offset {} of source {} becomes a dead letter: {}", offset,
                                source, record.reason));
  ++quarantined_;
  Worker& reader = team_.reader();
  if (reader.is_welcomed()) static_cast<void>(team_.send(reader, record, control_));
}

void Supervisor::replace_all(Worker& cause, milliseconds pause) {
  if (pause.count() > 0) {
    // No worker runs meanwhile: the others' batches are void anyway.
    cause.start_at = Clock::now() + pause;
    return;
  }
  progress();
  commits_before_ += std::exchange(commits_seen_, 0);
  epoch_ = 0;
  // A source that is not committed yet may get another number in the next epoch: a record that kills is found again.
  deaths_.forget_records();
  drain_sent_ = false;
  still_since_.reset();
  resends_ = 0;
  moved_at_ = reason_at_ = Clock::now();
  window_for_ = 0;
  descriptors_.forget_all();
  team_.start_all_again(control_);
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
