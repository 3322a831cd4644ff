// What is checked by the clock: workers that do not start up, a sink that is unavailable, records that take too long, batches that
// were lost.
#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "config/scalar.h"
#include "daemon/supervisor/supervisor.h"

namespace leat::supervisor {

using proto::Stage;

namespace {
constexpr milliseconds kStalled{2'000};   // no worker is busy, and yet something is under way
constexpr int kMostResends = 3;           // of everything, with nothing accepted in between
constexpr milliseconds kLastWord{2'000};  // of the reader, which knows at what batch it stands

stage::Activity activity_of(const stage::Page& page) {
  return static_cast<stage::Activity>(read(page.activity));
}
}  // namespace

void Supervisor::check_start_up() {
  for (Worker& worker : team_.workers()) {
    if (worker.is_ready() || worker.joined || !worker.running() ||
        Clock::now() - worker.started < job_.start_up)
      continue;
    if (worker.slot.stage == Stage::kReader && worker.page) continue;
    // Waiting for the writer's epoch is no fault of theirs.
    if (worker.slot.stage != Stage::kWriter && worker.page && epoch_ == 0) continue;
    if (std::string at = worker.activity(); !at.empty()) {
      bool waits = worker.slot.stage == Stage::kWriter &&
                   !job_.volatile_state;  // the reader of a FIFO may take its time
      if (waits && !sink_failing_since_) sink_failing_since_ = worker.started;
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

// A sink that is unavailable: the writer dies of it, or waits for it at its start and says so on its page.
void Supervisor::check_sink() {
  if (!sink_failing_since_) return;
  Worker& writer = team_.writer();
  Clock::time_point now = Clock::now();
  if (writer.is_ready() && writer.running()) {
    if (read((*writer.page)->commits) == 0) return;  // it has not been tried yet
    auto seconds = std::chrono::duration_cast<std::chrono::seconds>(now - *sink_failing_since_).count();
    observer_.note("sink-recovered", fmt::format("the sink has recovered after {} s", seconds));
    sink_failing_since_.reset();
    return;
  }
  if (phase_ >= RunPhase::kEnding || job_.follow ||
      now - *sink_failing_since_ <= job_.pipeline.source.give_up)
    return;
  if (std::string at = writer.activity(); !writer.is_ready() && !at.empty()) sink_fault_ = std::move(at);
  end(kExitIo, fmt::format("{}; for more than {} (source.give_up). Run again to continue", sink_fault_,
                           config::format_duration(job_.pipeline.source.give_up)));
}

// One record in one worker must not take longer than process.timeout. Steps that keep time themselves say so.
void Supervisor::check_records() {
  Clock::time_point now = Clock::now();
  for (Worker& worker : team_.workers()) {
    if (!dies_alone(worker.slot.stage) || !worker.page || !worker.running()) continue;
    const stage::Page& page = **worker.page;
    bool at_record = activity_of(page) == stage::Activity::kBusy && read(page.at_source) != 0;
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
    if (read(page.at_guarded) != 0) continue;
    if (now - *worker.at_record_since < job_.pipeline.process.timeout || !worker.killed_for.empty()) continue;
    worker.killed_for = fmt::format("took longer than {} (process.timeout)",
                                    config::format_duration(job_.pipeline.process.timeout));
    worker.child->kill();
  }
}

// All idle, and the writer waits for something all the same: whatever was lost on the way, the reader has it.
void Supervisor::check_stall() {
  Worker& reader = team_.reader();
  bool still = reader.is_welcomed() && reader.page && read((*reader.page)->window_batches) > 0;
  for (const Worker& worker : team_.workers()) {
    if (!still || worker.slot.stage == Stage::kReader || (worker.joined && !worker.is_ready())) continue;
    still = worker.idle_for(kStalled);
  }
  Clock::time_point now = Clock::now();
  if (still && !still_since_) {
    still_since_ = now;
    std::uint64_t accepted =
        progress() + read((*team_.writer().page)->sequence) + read((*team_.writer().page)->records_in);
    if (accepted != resent_at_) resends_ = 0;
    resent_at_ = accepted;
    if (++resends_ > kMostResends) {
      return give_up(fmt::format("batches were sent again {} times and have not arrived", kMostResends));
    }
    observer_.warning("batches-lost", "batches were lost on their way: they are sent again");
    static_cast<void>(team_.send(reader, proto::Resend{0}, control_));
  } else if (!still || now - *still_since_ > kStalled) {
    still_since_.reset();
  }
}

// Nothing moves, though there is something to do: whatever it is, it ends, and with a reason. What is known to take its time
// (a sink or a source that is unavailable, a record within its own time, a worker that is not there yet) is no such state.
void Supervisor::check_progress() {
  Clock::time_point now = Clock::now();
  if (!given_up_.empty()) {
    if (now - given_up_at_ >= kLastWord) end(kExitBug, given_up_);
    return;
  }
  std::uint64_t movement = 0;
  auto moves = [&](std::uint64_t number) { movement = movement * 31 + number; };
  bool pending = false;
  bool waits = sink_failing_since_.has_value();
  bool processors = !job_.pipeline.has_processors();
  for (const Worker& worker : team_.workers()) {
    moves(worker.instance);
    if (!worker.is_ready() || !worker.page || !worker.running()) {
      waits = waits || !worker.joined;
      continue;
    }
    const stage::Page& page = **worker.page;
    bool busy = activity_of(page) == stage::Activity::kBusy;
    switch (worker.slot.stage) {
      case Stage::kReader:
        moves(read(page.sequence));
        pending =
            read(page.window_batches) > 0 || (!paused_ && activity_of(page) == stage::Activity::kBlocked);
        waits = waits || read(page.failing) != 0;
        break;
      case Stage::kWriter:
        moves(read(page.sequence) + read(page.records_in) + read(page.commits));
        waits = waits || busy;
        break;
      case Stage::kFilter:
      case Stage::kProcessor:
        moves(read(page.at_source) + read(page.at_offset));
        waits = waits || (busy && read(page.at_source) != 0);
        processors = processors || worker.slot.stage == Stage::kProcessor;
        break;
    }
  }
  if (movement != movement_ || !pending) moved_at_ = now;
  movement_ = movement;
  if (moved_at_ == now || waits || !processors) reason_at_ = now;
  if (now - reason_at_ < job_.no_progress) return;
  reason_at_ = now;
  for (const Worker& worker : team_.workers()) {
    if (is_stopped(worker.child->pid())) return;  // the status message says so
  }
  give_up(fmt::format("no progress for {}: {}", config::format_duration(job_.no_progress), what_all_do()));
}

std::string Supervisor::what_all_do() const {
  std::string text;
  for (const Worker& worker : team_.workers()) {
    WorkerStatus status = status_of(worker);
    text += fmt::format("{}{} is {}", text.empty() ? "" : ", ", slot_name(worker.slot), status.state);
  }
  return text;
}

// The reader knows what batch it is, and fails with that; if it does not, this is what there is to say.
void Supervisor::give_up(std::string why) {
  observer_.warning("no-progress", why);
  static_cast<void>(team_.send(team_.reader(), proto::GiveUp{why}, control_));
  given_up_ = std::move(why);
  given_up_at_ = Clock::now();
}

}  // namespace leat::supervisor
