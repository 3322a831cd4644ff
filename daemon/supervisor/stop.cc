// The ways to end a run, from the patient to the hasty one; each has a time after which the next one follows.
//
// drain: the reader takes in nothing new, and what is in the window is finished. stop: what is not committed is read again
// anyway, so only the records at hand are finished, and the writer commits what it has in order. For that all must stay until
// the writer is through: their memory holds what it has yet to take. leave: every worker gets `stop` with `now`. Then a kill.
#include <fmt/format.h>

#include <algorithm>

#include "config/scalar.h"
#include "daemon/supervisor/loop.h"

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
void Supervisor::Loop::drain() {
  if (!reading_since_) return stop();
  drain_ = true;
  if (!drain_since_) drain_since_ = Clock::now();
}

void Supervisor::Loop::see_drain_through() {
  if (!drain_) return;
  if (!drain_sent_ && team_.reader().welcomed)
    drain_sent_ = team_.send(team_.reader(), proto::Stop{StopKind::kDrain}, control_);
  if (Clock::now() - *drain_since_ < job_.drain_patience) return;
  observer_.warning("drain-late",
                    fmt::format("not drained after {}: stopping, what is not committed comes again",
                                config::format_duration(job_.drain_patience)));
  stop();
}

void Supervisor::Loop::stop() {
  if (over_ || stop_since_) return;
  if (!reading_since_) {
    hurry_ = true;
    return end(kExitStopped, "stopped before anything was read");
  }
  stop_since_ = Clock::now();
}

bool Supervisor::Loop::send_finish(Worker& worker) {
  if (!worker.finishing) worker.finishing = team_.send(worker, proto::Stop{StopKind::kFinish}, control_);
  return worker.finishing;
}

void Supervisor::Loop::end_late(Worker& worker, milliseconds patience) {
  observer_.warning("worker-late",
                    fmt::format("{} has not finished what it had at hand within {}: it is not waited for; {}",
                                worker.title(), config::format_duration(patience), worker.activity()));
  if (!worker.joined) worker.child->kill();
  worker.leaving = true;
}

void Supervisor::Loop::see_stop_through() {
  Worker& writer = team_.writer();
  // Without a writer nothing can be committed.
  if (!writer.ready || !writer.running()) return leave();
  check_records();
  Stage last = job_.pipeline.has_processors() ? Stage::kProcessor : Stage::kFilter;
  milliseconds patience = std::min(job_.pipeline.process.timeout, job_.stop_patience) + kAnswer;
  bool late = Clock::now() - *stop_since_ >= patience;
  bool waits = false;
  for (Worker& worker : team_.workers()) {
    if (&worker == &writer || !worker.welcomed || !worker.running()) continue;
    send_finish(worker);
    if (worker.slot.stage != last || worker.finished || worker.leaving) continue;
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

void Supervisor::Loop::leave() {
  hurry_ = true;
  if (over_ && leave_until_) leave_until_ = std::min(*leave_until_, Clock::now() + kLeaveHurried);
  end(kExitStopped, "stopped at once");
}

// Every worker is asked to leave, gets a moment, and is killed; what hangs in the kernel even so is left to end by itself.
void Supervisor::Loop::disband() {
  if (!leave_until_) {
    tick(true);
    // A draining worker waits until its results are taken: no writer will take them now.
    for (Worker& worker : team_.workers()) worker.leaving = false;
    leave_until_ = Clock::now() + (hurry_ ? kLeaveHurried : kLeave);
  }
  team_.dismiss(control_);
  bool patience_is_over = Clock::now() >= *leave_until_;
  gone_ = !team_.anyone_left() || (patience_is_over && killed_);
  if (gone_ || !patience_is_over) return;
  team_.kill();
  killed_ = true;
  leave_until_ = Clock::now() + kBury;
}

}  // namespace leat::supervisor
