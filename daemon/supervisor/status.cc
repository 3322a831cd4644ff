#include "daemon/supervisor/status.h"

#include <fmt/format.h>

#include <algorithm>
#include <fstream>
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

std::string_view name_of(stage::Activity activity) {
  switch (activity) {
    case stage::Activity::kBusy:
      return "busy";
    case stage::Activity::kBlocked:
      return "blocked";
    case stage::Activity::kIdle:
      return "idle";
    case stage::Activity::kStarting:
      break;
  }
  return "starting";
}

double seconds_since(Clock::time_point then) {
  return std::chrono::duration<double>(Clock::now() - then).count();
}

}  // namespace

bool is_stopped(std::int64_t pid) {
  std::ifstream file(fmt::format("/proc/{}/stat", pid));
  std::string line;
  std::getline(file, line);
  std::size_t end = line.rfind(") ");
  return end != std::string::npos && end + 2 < line.size() && (line[end + 2] == 'T' || line[end + 2] == 't');
}

std::string_view to_string(Phase phase) {
  switch (phase) {
    case Phase::kStarting:
      return "starting";
    case Phase::kWaiting:
      return "waiting";
    case Phase::kPaused:
      return "paused";
    case Phase::kDraining:
      return "draining";
    case Phase::kStopping:
      return "stopping";
    case Phase::kRunning:
      break;
  }
  return "running";
}

WorkerStatus Supervisor::status_of(const Worker& worker) const {
  WorkerStatus status;
  status.slot = worker.slot;
  status.instance = worker.instance;
  status.joined = worker.joined;
  status.pid = worker.child ? worker.child->pid() : 0;
  status.memory_bytes = worker.memory_bytes;
  status.shares = worker.recent.shares;
  status.activity = worker.activity();
  status.state = "starting";
  status.state_seconds = seconds_since(worker.started);
  if (worker.page) {
    const stage::Page& page = **worker.page;
    status.records = read(page.records_in);
    auto activity = static_cast<stage::Activity>(read(page.activity));
    std::uint64_t now = stage::monotonic_ns();
    status.state_seconds = static_cast<double>(now - std::min(now, read(page.activity_since_ns))) / 1e9;
    if (worker.is_ready()) status.state = name_of(activity);
  }
  if (worker.draining) status.state = "leaving";
  if (!worker.running()) {
    status.state = "gone";
  } else if (is_stopped(status.pid)) {
    status.state = "stopped";
  }
  return status;
}

// What a stop waits for.
std::string Supervisor::waited_for() const {
  Stage last = job_.pipeline.has_processors() ? Stage::kProcessor : Stage::kFilter;
  for (const Worker& worker : team_.workers()) {
    if (worker.slot.stage != last || !worker.running() || !worker.may_be_at_work()) continue;
    return fmt::format("{:.0f} s: waiting for {} to finish its record: {}", seconds_since(*stop_since_),
                       slot_name(worker.slot), worker.activity());
  }
  return fmt::format("{:.0f} s: waiting for the writer to commit", seconds_since(*stop_since_));
}

// The first thing that a person should know; empty: all is well.
std::string Supervisor::status_message() const {
  if (stop_since_) return waited_for();
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
    if (worker.at_record_since && seconds_since(*worker.at_record_since) >= kLong) {
      return fmt::format("{}: {:.0f} s at the record at offset {} of source {}", slot_name(worker.slot),
                         seconds_since(*worker.at_record_since), worker.watched.offset,
                         worker.watched.source);
    }
  }
  if (double still = seconds_since(liveness_.moved_at()); still >= kLong) {
    if (status_of(team_.writer()).state == "busy")
      return fmt::format("writer: {:.0f} s in writing to the sink or the ledger", still);
    return fmt::format("no progress for {:.0f} s: {}", still, what_all_do());
  }
  if (job_.pipeline.has_processors() && !scaling_.automatic() &&
      team_.processors(false) + team_.processors(true) == 0) {
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
  status.phase = stop_since_       ? Phase::kStopping
                 : drain_since_    ? Phase::kDraining
                 : paused_         ? Phase::kPaused
                 : failing         ? Phase::kWaiting
                 : !reading_since_ ? Phase::kStarting
                                   : Phase::kRunning;
  const auto& workers = job_.pipeline.process.workers;
  status.pool = {team_.processors(false), team_.processors(true), scaling_.wanted(), workers.min, workers.max,
                 scaling_.automatic()};
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
