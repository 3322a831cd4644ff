// Processors that come and go while the pipeline runs, as the Pool decides.
//
// A draining processor is dealt nothing more once its dealers have got `member_draining`. It finishes the record at hand and
// gives back what is queued, which is sent again. Each dealer answers `member_drained` when all its credits have come back;
// then the processor gets `stop`, and leaves when the writer has taken the last of its results. So no work is done twice,
// and no stage waits. Nothing depends on it either: whatever a worker had when it has gone comes again.
#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <system_error>
#include <utility>

#include "config/units.h"
#include "daemon/supervisor/supervisor.h"

namespace leat::supervisor {

using proto::Stage;

// A worker that was not started here wants a slot.
void Supervisor::on_join(const std::string& identity, const proto::Hello& hello) {
  if (phase_ > RunPhase::kRunning || team_.find(identity) != nullptr) return;  // it asks again
  auto arrival = descriptors_.take_arrival(identity);
  if (!arrival) return;  // it asks again
  std::optional<Child> child;
  std::string refusal;
  try {
    child.emplace(Child::adopt(std::move(arrival->pidfd)));
    // It has executed itself again since: what it was before is no more.
    if (Worker* before = team_.running_as(child->pid()); before != nullptr && before->joined) {
      take_out(*before);
      team_.remove(*before);
    }
    refusal = pool_.refusal({arrival->uid, hello.role, hello.version}, team_.members());
  } catch (const std::system_error&) {
    refusal = "its process has gone, or it is in a PID namespace that cannot be seen from here";
  }
  if (!refusal.empty()) {
    proto::Message message = encode(proto::Refusal{refusal});
    static_cast<void>(control_.try_send(identity, message));
    observer_.warning("worker-refused", fmt::format("pid {}: {}", hello.pid, refusal));
    return;
  }
  team_.admit(identity, *std::move(child), std::move(arrival->memory));
  fit_window();
}

Result<void> Supervisor::scale(int processors) {
  auto change = pool_.ask(processors, team_.members().joined);
  if (!change) return tl::unexpected(change.error());
  note_change(*change);
  return {};
}

Result<void> Supervisor::scale_automatically() {
  return pool_.automate();
}

void Supervisor::note_change(const std::optional<Pool::Change>& change) {
  if (!change) return;
  observer_.happened("pool-scaled", {{"from", std::to_string(change->from)},
                                     {"to", std::to_string(change->to)},
                                     {"reason", change->reason}});
}

void Supervisor::fit_window() {
  const int processors = team_.members().all();
  auto size = pool_.window(processors);
  if (size && team_.reader().is_welcomed() && team_.send(team_.reader(), *size))
    pool_.window_is_for(processors);
}

// As many of our own as are wanted. Those with the highest index leave first.
void Supervisor::adjust_pool() {
  dismiss_drained();
  if (!job_.pipeline.has_processors()) return;
  if (phase_ == RunPhase::kDraining) {
    // No processor is there to finish what is under way: it comes again.
    if (team_.members().all() == 0) stop();
    return;
  }
  try {
    for (int left = pool_.to_start(team_.members(), Clock::now()); left > 0; --left) team_.add_processor();
  } catch (const std::system_error& error) {  // no memory, no process numbers left
    pool_.not_started(Clock::now());
    observer_.warning("pool-not-grown", fmt::format("{}; trying again", error.what()));
  }
  auto& workers = team_.workers();
  auto worker = workers.rbegin();
  for (int left = pool_.to_drain(team_.members()); left > 0; ++worker) {
    if (worker->slot.stage != Stage::kProcessor || worker->joined || worker->draining) continue;
    start_draining(*worker);
    --left;
  }
  fit_window();
}

void Supervisor::start_draining(Worker& worker) {
  std::vector<std::uint32_t> dealers;
  for (const Worker* dealer : team_.dealers_of(worker)) dealers.push_back(dealer->instance);
  worker.draining.emplace(Clock::now(), std::move(dealers));
  note_event("worker-draining", worker);
  team_.send_to_dealers(worker, proto::MemberDraining{worker.slot.index, worker.instance});
  if (worker.state == WorkerState::kReady) send_finish(worker);
}

void Supervisor::on_drained(const Worker& dealer, const proto::MemberDrained& drained) {
  for (Worker& worker : team_.workers()) {
    const bool meant = worker.slot == Slot{Stage::kProcessor, drained.index};
    if (meant && worker.instance == drained.instance && worker.draining)
      worker.draining->drained(dealer.instance);
  }
}

void Supervisor::dismiss_drained() {
  const milliseconds patience = job_.pipeline.process.timeout + Draining::kIdle;
  for (Worker& worker : team_.workers()) {
    if (!worker.draining || worker.state >= WorkerState::kLeaving || !worker.running()) continue;
    if (worker.state == WorkerState::kReady) send_finish(worker);
    switch (worker.draining->next(Clock::now(), worker.idle_for(Draining::kIdle), patience)) {
      case Draining::Next::kWait:
        break;
      case Draining::Next::kKill:
        if (worker.joined || !worker.killed_for.empty()) break;  // one that joined is not ours to end
        worker.killed_for =
            fmt::format("was draining, and had not finished within {}", config::format_duration(patience));
        worker.child->kill();
        break;
      case Draining::Next::kLeave:
        if (!worker.is_ready() && !worker.joined) {
          worker.child->kill();  // it has never had anything
          worker.state.enter(WorkerState::kDismissed);
        } else if (team_.send(worker, proto::Stop{proto::StopKind::kDrain})) {
          worker.state.enter(WorkerState::kLeaving);
        }
    }
  }
}

// Twice a second: samples the load of all workers and asks the controller.
void Supervisor::control_pool() {
  Clock::time_point now = Clock::now();
  if (now - sampled_ < Controller::kInterval) return;
  sampled_ = now;
  team_.read_pages();
  if (!pool_.automatic() || paused_ || phase_ != RunPhase::kRunning) return;
  note_change(pool_.sample(team_.load(now), team_.members().joined));
}

}  // namespace leat::supervisor
