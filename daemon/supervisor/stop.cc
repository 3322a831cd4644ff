// The ways to end a run, as Shutdown times them.
//
// In a stop all workers stay until the writer is through: their memory holds what it has yet to take.
#include <fmt/format.h>

#include "config/units.h"
#include "daemon/supervisor/supervisor.h"

namespace leat::supervisor {

using proto::Stage;
using proto::StopKind;

// Before anything was read there is nothing to finish.
void Supervisor::drain() {
  if (phase_ == RunPhase::kStarting) return stop();
  if (phase_ == RunPhase::kRunning) phase_.enter(RunPhase::kDraining);
  shutdown_.drain(Clock::now());
}

void Supervisor::see_drain_through() {
  if (phase_ != RunPhase::kDraining) return;
  if (!drain_sent_ && team_.reader().is_welcomed())
    drain_sent_ = team_.send(team_.reader(), proto::Stop{StopKind::kDrain});
  if (!shutdown_.drain_is_late(Clock::now())) return;
  observer_.warning("drain-late",
                    fmt::format("not drained after {}: stopping, what is not committed comes again",
                                config::format_duration(job_.drain_patience)));
  stop();
}

void Supervisor::stop() {
  if (phase_ >= RunPhase::kStopping) return;
  if (phase_ == RunPhase::kStarting) {
    shutdown_.hurry(Clock::now());
    return end(kExitStopped, "stopped before anything was read");
  }
  phase_.enter(RunPhase::kStopping);
  shutdown_.stop(Clock::now());
}

bool Supervisor::send_finish(Worker& worker) {
  const bool may = worker.state == WorkerState::kWelcomed || worker.state == WorkerState::kReady;
  if (may && team_.send(worker, proto::Stop{StopKind::kFinish})) worker.state.enter(WorkerState::kFinishing);
  return worker.state == WorkerState::kFinishing || worker.state == WorkerState::kFinished;
}

void Supervisor::end_late(Worker& worker) {
  observer_.warning(
      "worker-late",
      fmt::format("{} has not finished what it had at hand within {}: it is not waited for; {}",
                  worker.title(), config::format_duration(shutdown_.record_patience()), worker.activity()));
  if (!worker.joined) worker.child->kill();
  worker.state.enter(worker.joined ? WorkerState::kLeaving : WorkerState::kDismissed);
}

void Supervisor::see_stop_through() {
  const Clock::time_point now = Clock::now();
  Worker& writer = team_.writer();
  // Without a writer nothing can be committed.
  if (!writer.is_ready() || !writer.running()) return leave();
  check_records();
  bool waits = false;
  for (Worker& worker : team_.workers()) {
    if (&worker == &writer || !worker.is_welcomed() || !worker.running()) continue;
    send_finish(worker);
    if (!is_waited_for(worker)) continue;
    if (shutdown_.records_are_late(now)) {
      end_late(worker);
    } else {
      waits = true;
    }
  }
  if (!shutdown_.waits_for_writer() && !waits && send_finish(writer)) shutdown_.writer_finishes(now);
  if (!shutdown_.commit_is_late(now)) return;
  observer_.warning(
      "commit-late",
      fmt::format("{} has not committed within {}: leaving, that comes again; {}", writer.title(),
                  config::format_duration(Shutdown::kCommit), writer.activity()));
  leave();
}

// A stop waits for the last stage: it has the records at hand.
bool Supervisor::is_waited_for(const Worker& worker) const {
  const Stage last = job_.pipeline.has_processors() ? Stage::kProcessor : Stage::kFilter;
  return worker.slot.stage == last && worker.running() && worker.may_be_at_work();
}

void Supervisor::leave() {
  shutdown_.hurry(Clock::now());
  end(kExitStopped, "stopped at once");
}

void Supervisor::disband() {
  if (shutdown_.leave(Clock::now())) tick(true);
  team_.dismiss();
  switch (shutdown_.next(Clock::now(), !team_.anyone_left())) {
    case Shutdown::Next::kWait:
      break;
    case Shutdown::Next::kKill:
      team_.kill();
      break;
    case Shutdown::Next::kOver:
      phase_.enter(RunPhase::kOver);
  }
}

}  // namespace leat::supervisor
