// What is looked for by the clock: workers that do not start up, a sink that is away, records that take too long, batches that
// were lost.
#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "config/scalar.h"
#include "daemon/supervisor/loop.h"

namespace leat::supervisor {

using proto::Stage;

namespace {
constexpr milliseconds kStalled{2'000};  // nobody works, and yet something is under way
}  // namespace

void Supervisor::Loop::check_start_up() {
  for (Worker& worker : team_.workers()) {
    if (worker.ready || worker.joined || !worker.running() || Clock::now() - worker.started < job_.start_up)
      continue;
    if (worker.seat.stage == Stage::kReader && worker.page) continue;
    // Waiting for the writer's epoch is no fault of theirs.
    if (worker.seat.stage != Stage::kWriter && worker.page && epoch_ == 0) continue;
    if (std::string at = worker.at(); !at.empty()) {
      bool waits = worker.seat.stage == Stage::kWriter &&
                   !job_.volatile_state;  // the reader of a FIFO may take its time
      if (waits && !trouble_since_) trouble_since_ = worker.started;
      worker.started = Clock::now();
      observer_.note("worker-waits", fmt::format("{} is not ready yet: {}", worker.title(), at));
      continue;
    }
    auto seconds = std::chrono::duration<double>(job_.start_up).count();
    end(kExitBug,
        fmt::format("{} did not start up within {} s and does not say why", worker.title(), seconds));
    return;
  }
}

// A sink that is away: the writer dies of it, or waits for it at its start and says so on its page.
void Supervisor::Loop::check_trouble() {
  if (!trouble_since_) return;
  Worker& writer = team_.writer();
  Clock::time_point now = Clock::now();
  if (writer.ready && writer.running()) {
    if (read((*writer.page)->commits) == 0) return;  // it has not been tried yet
    auto seconds = std::chrono::duration_cast<std::chrono::seconds>(now - *trouble_since_).count();
    observer_.note("sink-back", fmt::format("the sink is back after {} s", seconds));
    trouble_since_.reset();
    return;
  }
  if (over_ || job_.follow || now - *trouble_since_ <= job_.pipeline.source.give_up) return;
  if (std::string at = writer.at(); !writer.ready && !at.empty()) trouble_ = std::move(at);
  end(kExitIo, fmt::format("{}; for more than {} (source.give_up). Run again to go on", trouble_,
                           config::format_duration(job_.pipeline.source.give_up)));
}

// One record in one worker must not take longer than process.timeout. Steps that keep time themselves say so.
void Supervisor::Loop::check_records() {
  Clock::time_point now = Clock::now();
  for (Worker& worker : team_.workers()) {
    if (!dies_alone(worker.seat.stage) || !worker.page || !worker.running()) continue;
    const stage::Page& page = **worker.page;
    bool at_record =
        page.activity.load(std::memory_order_relaxed) == static_cast<std::uint32_t>(stage::Activity::kBusy) &&
        page.at_guarded.load(std::memory_order_relaxed) == 0 && read(page.at_source) != 0;
    std::uint64_t sequence = read(page.sequence), source = read(page.at_source),
                  offset = read(page.at_offset);
    bool same = at_record && worker.at_record_since && worker.watched_sequence == sequence &&
                worker.watched_source == source && worker.watched_offset == offset;
    if (!same) {
      worker.watched_sequence = sequence;
      worker.watched_source = source;
      worker.watched_offset = offset;
      worker.at_record_since = at_record ? std::optional(now) : std::nullopt;
      continue;
    }
    if (now - *worker.at_record_since < job_.pipeline.process.timeout || !worker.killed_for.empty()) continue;
    worker.killed_for = fmt::format("took longer than {} (process.timeout)",
                                    config::format_duration(job_.pipeline.process.timeout));
    worker.child->kill();
  }
}

// Everybody idle, and the writer waits for something all the same: whatever was lost on the way, the reader has it.
void Supervisor::Loop::check_stall() {
  Worker& reader = team_.reader();
  bool still = reader.welcomed && reader.page && read((*reader.page)->window_batches) > 0;
  for (const Worker& worker : team_.workers()) {
    if (!still || worker.seat.stage == Stage::kReader || (worker.joined && !worker.ready)) continue;
    still = worker.idle_for(kStalled);
  }
  Clock::time_point now = Clock::now();
  if (still && !still_since_) {
    still_since_ = now;
    observer_.warning("batches-lost", "batches were lost on their way: they are sent again");
    static_cast<void>(team_.tell(reader, proto::Again{0}, control_));
  } else if (!still || now - *still_since_ > kStalled) {
    still_since_.reset();
  }
}

}  // namespace leat::supervisor
