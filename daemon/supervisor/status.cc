#include "daemon/supervisor/status.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <string>

#include "daemon/supervisor/supervisor.h"

namespace leat::supervisor {

using proto::Stage;

namespace {

constexpr double kLong = 10;  // seconds
// Reading smaps_rollup makes the kernel walk a whole address space, so not for ever at the rate that catches
// the peak of a short run.
constexpr milliseconds kMemoryOften{250};
constexpr milliseconds kMemorySeldom{2'000};
constexpr milliseconds kOften{5'000};
constexpr double kHoldsUp = 0.6;  // busy so much of its time: worth naming

constexpr std::array kActivities{"starting", "busy", "blocked", "idle"};  // by stage::Activity

double seconds_since(Clock::time_point then) {
  return std::chrono::duration<double>(Clock::now() - then).count();
}

}  // namespace

std::string_view to_string(Phase phase) {
  static constexpr std::array<std::string_view, 6> kNames{"starting", "running",  "waiting",
                                                          "paused",   "draining", "stopping"};
  return kNames[static_cast<std::size_t>(phase)];
}

proto::WorkerStatus status_of(const Worker& worker) {
  proto::WorkerStatus status;
  status.role = to_string(worker.slot.stage);
  status.index = worker.slot.index;
  status.instance = worker.instance;
  if (worker.joined) status.kind = "joined";
  status.pid = worker.child ? worker.child->pid() : 0;
  status.memory_bytes = worker.memory_bytes;
  status.busy = worker.recent.shares.busy;
  status.blocked = worker.recent.shares.blocked;
  status.idle = worker.recent.shares.idle;
  status.activity = worker.activity();
  status.state_seconds = seconds_since(worker.started);
  if (worker.page) {
    const stage::Page& page = **worker.page;
    status.records = read(page.records_in);
    std::uint64_t now = stage::monotonic_ns();
    status.state_seconds = static_cast<double>(now - std::min(now, read(page.activity_since_ns))) / 1e9;
    if (worker.is_ready())
      status.state = kActivities[std::min<std::size_t>(read(page.activity), kActivities.size() - 1)];
  }
  if (worker.draining) status.state = "leaving";
  if (!worker.running()) {
    status.state = "gone";
  } else if (is_stopped(worker.child->pid())) {
    status.state = "stopped";
  }
  return status;
}

std::string what_all_do(const Team& team) {
  std::string text;
  for (const Worker& worker : team.workers()) {
    const proto::WorkerStatus status = status_of(worker);
    text += fmt::format("{}{} is {}", text.empty() ? "" : ", ", slot_name(worker.slot), status.state);
  }
  return text;
}

// What a stop waits for.
std::string Supervisor::waited_for() const {
  const double seconds = seconds_since(*shutdown_.stop_since());
  for (const Worker& worker : team_.workers()) {
    if (!is_waited_for(worker)) continue;
    return fmt::format("{:.0f} s: waiting for {} to finish its record: {}", seconds, slot_name(worker.slot),
                       worker.activity());
  }
  return fmt::format("{:.0f} s: waiting for the writer to commit", seconds);
}

// The first thing that a person should know; empty: all is well.
std::string Supervisor::status_message() const {
  if (shutdown_.stop_since()) return waited_for();
  if (const Outage& sink = judgement_.sink(); sink.since) {
    std::string text = sink.fault.empty() ? team_.writer().activity() : sink.fault;
    return fmt::format("{:.0f} s: {}", seconds_since(*sink.since), text);
  }
  for (const Worker& worker : team_.workers()) {
    if (!worker.running() && !worker.retry.empty()) return fmt::format("{}; trying again", worker.retry);
    if (!worker.running()) return fmt::format("{} has ended; it is restarted", slot_name(worker.slot));
    if (is_stopped(worker.child->pid())) {
      return fmt::format("{} (pid {}) is stopped by a signal: kill -CONT {} continues it",
                         slot_name(worker.slot), worker.child->pid(), worker.child->pid());
    }
    if (worker.slot.stage == Stage::kReader && worker.page && (*worker.page)->failing != 0)
      return worker.page->text();
    const double seconds = std::chrono::duration<double>(worker.record.time(Clock::now())).count();
    if (seconds >= kLong) {
      return fmt::format("{}: {:.0f} s at the record at offset {} of source {}", slot_name(worker.slot),
                         seconds, worker.record.at()->offset, worker.record.at()->source);
    }
  }
  if (double still = seconds_since(liveness_.moved_at()); still >= kLong) {
    if (status_of(team_.writer()).state == "busy")
      return fmt::format("writer: {:.0f} s in writing to the sink or the ledger", still);
    return fmt::format("no progress for {:.0f} s: {}", still, what_all_do(team_));
  }
  if (job_.pipeline.has_processors() && !pool_.automatic() && team_.members().all() == 0) {
    return fmt::format("no processor: leat scale {0} processor 1, or systemctl start leat-processor@{0}-1",
                       job_.pipeline.name);
  }
  if (reading_since_) return {};
  std::string text;
  for (const Worker& worker : team_.workers()) {
    if (worker.is_ready() || worker.joined || (worker.slot.stage == Stage::kReader && !worker.is_welcomed()))
      continue;
    std::string at = worker.activity();
    text += fmt::format("{}{}{}", text.empty() ? "waiting for " : ", ", slot_name(worker.slot),
                        at.empty() ? "" : ": " + at);
  }
  return text;
}

Status Supervisor::status() const {
  Status status;
  status.message = status_message();
  team_.count(status.totals);
  if (reading_since_) status.totals.seconds = seconds_since(*reading_since_);
  status.totals.peak_memory_bytes = peak_memory_;
  status.memory_bytes = memory_;
  status.epoch = epoch_;
  if (team_.reader().page) status.window_batches = read((*team_.reader().page)->window_batches);
  bool failing =
      judgement_.sink().since.has_value() || (team_.reader().page && (*team_.reader().page)->failing != 0);
  status.phase = shutdown_.stop_since() ? Phase::kStopping
                 : shutdown_.drains()   ? Phase::kDraining
                 : paused_              ? Phase::kPaused
                 : failing              ? Phase::kWaiting
                 : !reading_since_      ? Phase::kStarting
                                        : Phase::kRunning;
  const auto& workers = job_.pipeline.process.workers;
  const auto members = team_.members();
  status.pool = {members.own, members.joined, pool_.wanted(), workers.min, workers.max, pool_.automatic()};
  std::vector<StageShares> shares;
  for (const Worker& worker : team_.workers()) {
    status.workers.push_back(status_of(worker));
    if (worker.page) shares.push_back(worker.recent.shares);
  }
  auto stages = mean_by_stage(shares);
  if (const StageShares* most = busiest(stages); most != nullptr && most->busy >= kHoldsUp) {
    status.bottleneck = to_string(most->stage);
  }
  return status;
}

void Supervisor::tick(bool last) {
  Clock::time_point now = Clock::now();
  if (!last && now < next_tick_) return;
  next_tick_ = now + kTick;
  if (last || now >= next_memory_) {
    memory_ = team_.measure_memory();
    peak_memory_ = std::max(peak_memory_, memory_);
    next_memory_ = now + (now - started_ < kOften ? kMemoryOften : kMemorySeldom);
  }
  if (!reading_since_) return;
  Snapshot snapshot;
  snapshot.seconds = std::chrono::duration<double>(now - *reading_since_).count();
  snapshot.peak_memory_bytes = peak_memory_;
  team_.count(snapshot);
  observer_.tick(snapshot);
  if (last) outcome_.last = std::move(snapshot);
}

}  // namespace leat::supervisor
