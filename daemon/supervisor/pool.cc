// Processors that come and go while the pipeline runs.
//
// A draining processor is dealt nothing more once its dealers have got `member_draining`. It finishes the record at hand and
// gives back what is queued, which is sent again. Each dealer answers `member_drained` when all its credits have come back;
// then the processor gets `stop`, and leaves when the writer has taken the last of its results. So no work is done twice,
// and no stage waits. Nothing depends on it either: whatever a worker had when it has gone comes again.
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <optional>
#include <system_error>
#include <utility>

#include "config/scalar.h"
#include "daemon/supervisor/supervisor.h"
#include "proto/dealer.h"

namespace leat::supervisor {

using proto::Stage;

Result<config::Budget> Supervisor::budget_for(int processors) const {
  return config::plan_budget(job_.pipeline, job_.in_file_bytes, std::max(processors, 1));
}

// The window is what limits.memory leaves: it shrinks before a processor comes and grows when one has gone.
void Supervisor::fit_window() {
  int processors = team_.processors(false) + team_.processors(true);
  if (processors == window_for_ || !team_.reader().is_welcomed()) return;
  auto budget = budget_for(processors);
  if (!budget) return;  // it was asked for before they came, so that is the smallest window
  proto::WindowSize size{budget->window_bytes, static_cast<std::uint32_t>(budget->window_batches)};
  if (team_.send(team_.reader(), size, control_)) window_for_ = processors;
}

// A worker that was not started here wants a slot. It must be of our user: the memory of the batches is shared with
// no other.
void Supervisor::on_join(const std::string& identity, const proto::Hello& hello) {
  if (phase_ > RunPhase::kRunning || team_.find(identity) != nullptr) return;  // it asks again
  auto refuse = [&](const std::string& why) {
    proto::Message message = encode(proto::Refusal{why});
    static_cast<void>(control_.try_send(identity, message));
    observer_.warning("worker-refused", fmt::format("pid {}: {}", hello.pid, why));
  };
  auto arrival = descriptors_.take_arrival(identity);
  if (!arrival) return;  // it asks again
  std::optional<Child> child;
  try {
    child.emplace(Child::adopt(std::move(arrival->pidfd)));
  } catch (const std::system_error&) {
    return refuse("its process has gone, or it is in a PID namespace that cannot be seen from here");
  }
  if (arrival->uid != ::geteuid()) {
    return refuse(fmt::format("it runs as uid {}, and its supervisor as uid {}: start it as the same user",
                              arrival->uid, ::geteuid()));
  }
  if (hello.role != Stage::kProcessor || !job_.pipeline.has_processors()) {
    return refuse(fmt::format("the pipeline {} has no steps, so no processors", job_.pipeline.name));
  }
  if (hello.version != LEAT_VERSION) {
    return refuse(
        fmt::format("it is of version {}, the supervisor of {}: install all programs of one release",
                    hello.version, LEAT_VERSION));
  }
  // It has executed itself again since: what it was before is no more.
  for (Worker& worker : team_.workers()) {
    if (!worker.joined || !worker.running() || worker.child->pid() != child->pid()) continue;
    take_out(worker);
    team_.remove(worker);
    break;
  }
  int processors = team_.processors(false) + team_.processors(true) + 1;
  if (auto budget = budget_for(processors); !budget) return refuse(budget.error().text);
  if (team_.workers().size() >= proto::Dealer::kMaxMembers)
    return refuse(
        fmt::format("the pipeline has {} workers already, which is the most", proto::Dealer::kMaxMembers));
  team_.admit(identity, *std::move(child), std::move(arrival->memory));
  fit_window();
}

Result<void> Supervisor::scale(int processors) {
  if (!job_.pipeline.has_processors()) {
    return fail(Fault::kReject, fmt::format("{} has no steps, so no processors", job_.pipeline.name),
                kExitConfig);
  }
  auto budget = budget_for(processors + team_.processors(true));
  if (!budget) return tl::unexpected(budget.error());
  if (auto change = scaling_.ask(processors)) note_change(*change);
  return {};
}

Result<void> Supervisor::scale_automatically() {
  const auto& workers = job_.pipeline.process.workers;
  if (!job_.pipeline.has_processors() || !workers.automatic()) {
    return fail(Fault::kReject,
                fmt::format("{}: process.workers is not `auto` and has no min and max", job_.pipeline.file),
                kExitConfig);
  }
  scaling_.automate();
  return {};
}

// A processor more that cannot be started (no memory, no process numbers left) is tried again: the others do without.
void Supervisor::grow_pool() {
  constexpr milliseconds kAgain{5'000};
  Clock::time_point now = Clock::now();
  if (now < grow_at_) return;
  try {
    for (int own = team_.processors(false);
         own < scaling_.wanted() && team_.workers().size() < proto::Dealer::kMaxMembers; ++own) {
      team_.add_processor();
    }
  } catch (const std::system_error& error) {
    grow_at_ = now + kAgain;
    observer_.warning("pool-not-grown", fmt::format("{}; trying again", error.what()));
  }
}

// As many of our own as are wanted. Those with the highest index leave first.
void Supervisor::adjust_pool() {
  dismiss_drained();
  if (!job_.pipeline.has_processors()) return;
  if (phase_ == RunPhase::kDraining) {
    // No processor is there to finish what is under way: it comes again.
    if (team_.processors(false) + team_.processors(true) == 0) stop();
    return;
  }
  grow_pool();
  for (int own = team_.processors(false); own > scaling_.wanted(); --own) {
    Worker* last = nullptr;
    for (Worker& worker : team_.workers()) {
      if (worker.slot.stage == Stage::kProcessor && !worker.joined && !worker.draining) last = &worker;
    }
    start_draining(*last);
  }
  fit_window();
}

void Supervisor::start_draining(Worker& worker) {
  worker.draining.emplace(Draining{Clock::now(), {}});
  observer_.happened("worker-draining",
                     {{"worker", slot_name(worker.slot)}, {"pid", std::to_string(worker.child->pid())}});
  for (const Worker& dealer : team_.workers()) {
    if (dealer.slot.stage == Stage::kFilter && dealer.is_welcomed() && dealer.running())
      worker.draining->undrained.push_back(dealer.instance);
  }
  send_to_dealers(worker, proto::MemberDraining{worker.slot.index, worker.instance});
  if (worker.state == WorkerState::kReady) send_finish(worker);
}

void Supervisor::on_drained(Worker& dealer, const proto::MemberDrained& drained) {
  for (Worker& worker : team_.workers()) {
    if (worker.slot != Slot{Stage::kProcessor, drained.index} || worker.instance != drained.instance)
      continue;
    if (worker.draining) std::erase(worker.draining->undrained, dealer.instance);
  }
}

// What that dealer had dealt is not waited for: the reader sends it all again.
void Supervisor::dealer_has_gone(const Worker& dealer) {
  for (Worker& worker : team_.workers()) {
    if (worker.draining) std::erase(worker.draining->undrained, dealer.instance);
  }
}

void Supervisor::dismiss_drained() {
  // A credit that was lost on its way never comes: a draining worker that has been idle for so long has nothing.
  constexpr milliseconds kIdle{5'000};
  for (Worker& worker : team_.workers()) {
    if (!worker.draining || worker.state >= WorkerState::kLeaving || !worker.running()) continue;
    const Draining& draining = *worker.draining;
    if (worker.state == WorkerState::kReady) send_finish(worker);
    bool is_idle = Clock::now() - draining.since >= kIdle && worker.idle_for(kIdle);
    if (!draining.undrained.empty() && !is_idle) {
      // One that joined is not ours to end.
      milliseconds patience = job_.pipeline.process.timeout + kIdle;
      if (!worker.joined && worker.killed_for.empty() && Clock::now() - draining.since >= patience) {
        worker.killed_for =
            fmt::format("was draining, and had not finished within {}", config::format_duration(patience));
        worker.child->kill();
      }
      continue;
    }
    if (!worker.is_ready() && !worker.joined) {
      worker.child->kill();  // it has never had anything
      worker.state.enter(WorkerState::kDismissed);
      continue;
    }
    if (team_.send(worker, proto::Stop{proto::StopKind::kDrain}, control_))
      worker.state.enter(WorkerState::kLeaving);
  }
}

void Supervisor::send_to_dealers(const Worker& worker, const proto::Control& news) {
  auto dealers = team_.layout().dealer_of(worker.slot.stage);
  if (!dealers) return;
  for (const Worker& other : team_.workers()) {
    if (other.slot.stage == *dealers && other.is_welcomed() && other.running()) {
      static_cast<void>(team_.send(other, news, control_));
    }
  }
}

// Twice a second: samples the load of all workers and asks the controller.
void Supervisor::control_pool() {
  Clock::time_point now = Clock::now();
  if (now - sampled_ < Controller::kInterval) return;
  sampled_ = now;
  team_.read_pages();
  if (!scaling_.automatic() || paused_ || phase_ != RunPhase::kRunning) return;
  const auto has_room = [&](int own) { return budget_for(own + team_.processors(true)).has_value(); };
  if (auto change = scaling_.sample(team_.workers(), now, has_room)) note_change(*change);
}

void Supervisor::note_change(const Scaling::Change& change) {
  observer_.happened(
      "pool-scaled",
      {{"from", std::to_string(change.from)}, {"to", std::to_string(change.to)}, {"reason", change.reason}});
}

}  // namespace leat::supervisor
