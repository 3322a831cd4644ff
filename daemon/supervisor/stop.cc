// The ways to end a run, from the patient to the hasty one; each has a time after which the next one follows.
//
// drain: the reader takes in nothing new, and what is in the window is finished. stop: what is not committed is read again
// anyway, so only the records at hand are finished, and the writer commits what it has in order. For that all must stay until
// the writer is through: their memory holds what it has yet to take. leave: every worker gets `stop` with `now`. Then a kill.
#include <fmt/format.h>

#include <algorithm>

#include "config/scalar.h"
#include "daemon/supervisor/supervisor.h"

namespace leat::supervisor {

using proto::Stage;
using proto::StopKind;

namespace {

constexpr milliseconds kAnswer{2'000};  // on top of what a record may take, to say that it is done
constexpr milliseconds kCommit{10'000};
constexpr milliseconds kLeave{2'000};         // to leave when told so
constexpr milliseconds kLeaveHurried{1'000};  // after a second signal
constexpr milliseconds kBury{1'000};          // for those that were killed to be gone

}  // namespace

// Before anything was read there is nothing to finish.
void Supervisor::drain() {
  if (phase_ == RunPhase::kStarting) return stop();
  if (phase_ == RunPhase::kRunning) phase_.enter(RunPhase::kDraining);
  if (!drain_since_) drain_since_ = Clock::now();
}

void Supervisor::see_drain_through() {
  if (phase_ != RunPhase::kDraining) return;
  if (!drain_sent_ && team_.reader().is_welcomed())
    drain_sent_ = team_.send(team_.reader(), proto::Stop{StopKind::kDrain}, control_);
  if (Clock::now() - *drain_since_ < job_.drain_patience) return;
  observer_.warning("drain-late",
                    fmt::format("not drained after {}: stopping, what is not committed comes again",
                                config::format_duration(job_.drain_patience)));
  stop();
}

void Supervisor::stop() {
  if (phase_ >= RunPhase::kStopping) return;
  if (phase_ == RunPhase::kStarting) {
    hurry_ = true;
    return end(kExitStopped, "stopped before anything was read");
  }
  phase_.enter(RunPhase::kStopping);
  stop_since_ = Clock::now();
}

bool Supervisor::send_finish(Worker& worker) {
  const bool may = worker.state == WorkerState::kWelcomed || worker.state == WorkerState::kReady;
  if (may && team_.send(worker, proto::Stop{StopKind::kFinish}, control_))
    worker.state.enter(WorkerState::kFinishing);
  return worker.state == WorkerState::kFinishing || worker.state == WorkerState::kFinished;
}

void Supervisor::end_late(Worker& worker, milliseconds patience) {
  observer_.warning("worker-late",
                    fmt::format("{} has not finished what it had at hand within {}: it is not waited for; {}",
                                worker.title(), config::format_duration(patience), worker.activity()));
  if (!worker.joined) worker.child->kill();
  worker.state.enter(worker.joined ? WorkerState::kLeaving : WorkerState::kDismissed);
}

void Supervisor::see_stop_through() {
  Worker& writer = team_.writer();
  // Without a writer nothing can be committed.
  if (!writer.is_ready() || !writer.running()) return leave();
  check_records();
  Stage last = job_.pipeline.has_processors() ? Stage::kProcessor : Stage::kFilter;
  milliseconds patience = std::min(job_.pipeline.process.timeout, job_.stop_patience) + kAnswer;
  bool late = Clock::now() - *stop_since_ >= patience;
  bool waits = false;
  for (Worker& worker : team_.workers()) {
    if (&worker == &writer || !worker.is_welcomed() || !worker.running()) continue;
    send_finish(worker);
    if (worker.slot.stage != last || !worker.may_be_at_work()) continue;
    if (late) {
      end_late(worker, patience);
    } else {
      waits = true;
    }
  }
  if (waits && !writer_finishes_since_) return;
  if (!writer_finishes_since_ && send_finish(writer)) writer_finishes_since_ = Clock::now();
  if (!writer_finishes_since_ || Clock::now() - *writer_finishes_since_ < kCommit) return;
  observer_.warning("commit-late",
                    fmt::format("{} has not committed within {}: leaving, that comes again; {}",
                                writer.title(), config::format_duration(kCommit), writer.activity()));
  leave();
}

void Supervisor::leave() {
  hurry_ = true;
  if (phase_ >= RunPhase::kEnding && leave_until_)
    leave_until_ = std::min(*leave_until_, Clock::now() + kLeaveHurried);
  end(kExitStopped, "stopped at once");
}

// Every worker is asked to leave, gets a moment, and is killed; what hangs in the kernel even so is left to end by itself.
void Supervisor::disband() {
  if (!leave_until_) {
    tick(true);
    leave_until_ = Clock::now() + (hurry_ ? kLeaveHurried : kLeave);
  }
  team_.dismiss(control_);
  bool patience_is_over = Clock::now() >= *leave_until_;
  if (!team_.anyone_left() || (patience_is_over && killed_)) return phase_.enter(RunPhase::kOver);
  if (!patience_is_over) return;
  team_.kill();
  killed_ = true;
  leave_until_ = Clock::now() + kBury;
}

}  // namespace leat::supervisor
