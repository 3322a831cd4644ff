// What is checked by the clock: workers that do not start up, a sink that is unavailable, records that take too long, batches that
// were lost.
#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "config/units.h"
#include "daemon/supervisor/supervisor.h"

namespace leat::supervisor {

using proto::Stage;

namespace {
stage::Activity activity_of(const stage::Page& page) {
  return static_cast<stage::Activity>(read(page.activity));
}
}  // namespace

void Supervisor::check_start_up() {
  const Clock::time_point now = Clock::now();
  for (Worker& worker : team_.workers()) {
    if (worker.is_ready() || worker.joined || !worker.running()) continue;
    const Stage stage = worker.slot.stage;
    const std::string at = worker.activity();
    const StartUp start{stage, worker.page.has_value(), epoch_ != 0, !at.empty(), now - worker.started};
    switch (start.next(job_.start_up)) {
      case StartUp::Next::kWait:
        break;
      case StartUp::Next::kNote:
        // The reader of a FIFO may take its time.
        if (stage == Stage::kWriter && !job_.volatile_state && !judgement_.sink().since)
          judgement_.sink().since = worker.started;
        worker.started = now;
        observer_.note("worker-waits", fmt::format("{} is not ready yet: {}", worker.title(), at));
        break;
      case StartUp::Next::kEnd:
        return end(kExitBug,
                   fmt::format("{} did not start up within {} s and does not say why", worker.title(),
                               std::chrono::duration<double>(job_.start_up).count()));
    }
  }
}

// A sink that is unavailable: the writer dies of it, or waits for it at its start and says so on its page.
void Supervisor::check_sink() {
  Outage& sink = judgement_.sink();
  if (!sink.since) return;
  Worker& writer = team_.writer();
  Clock::time_point now = Clock::now();
  if (writer.is_ready() && writer.running()) {
    if (read((*writer.page)->commits) == 0) return;  // it has not been tried yet
    auto seconds = std::chrono::duration_cast<std::chrono::seconds>(now - *sink.since).count();
    observer_.note("sink-recovered", fmt::format("the sink has recovered after {} s", seconds));
    sink.since.reset();
    return;
  }
  if (phase_ >= RunPhase::kEnding || judgement_.given_up(sink, now).empty()) return;
  if (std::string at = writer.activity(); !writer.is_ready() && !at.empty()) sink.fault = std::move(at);
  end(kExitIo, judgement_.given_up(sink, now));
}

// One record in one worker must not take longer than process.timeout. Steps that keep time themselves say so.
void Supervisor::check_records() {
  Clock::time_point now = Clock::now();
  for (Worker& worker : team_.workers()) {
    if (!dies_alone(worker.slot.stage) || !worker.page || !worker.running()) continue;
    const stage::Page& page = **worker.page;
    const bool at_record = activity_of(page) == stage::Activity::kBusy && read(page.at_source) != 0;
    const RecordWatch::At at{read(page.sequence), read(page.at_source), read(page.at_offset)};
    worker.record.see(at_record ? std::optional(at) : std::nullopt, now);
    if (read(page.at_guarded) != 0 || worker.record.time(now) < job_.pipeline.process.timeout ||
        !worker.killed_for.empty())
      continue;
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
    still = worker.idle_for(Liveness::kStalled);
  }
  std::uint64_t accepted = 0;
  if (still) {
    const stage::Page& writer = **team_.writer().page;
    accepted = progress() + read(writer.sequence) + read(writer.records_in);
  }
  switch (liveness_.see_stall(Clock::now(), still, accepted)) {
    case Liveness::Stall::kNone:
      break;
    case Liveness::Stall::kResend:
      observer_.warning("batches-lost", "batches were lost on their way: they are sent again");
      team_.send_to_reader(proto::Resend{0});
      break;
    case Liveness::Stall::kGiveUp:
      give_up(fmt::format("batches were sent again {} times and have not arrived", Liveness::kMostResends));
  }
}

// What is known to take its time: a sink or a source that is unavailable, a record within its own time, a worker that is not
// there yet.
Liveness::View Supervisor::view_of_progress() const {
  Liveness::View view{Clock::now(), 0, false, judgement_.sink().since.has_value()};
  auto moves = [&](std::uint64_t number) { view.movement = view.movement * 31 + number; };
  bool processors = !job_.pipeline.has_processors();
  for (const Worker& worker : team_.workers()) {
    moves(worker.instance);
    if (!worker.is_ready() || !worker.page || !worker.running()) {
      view.waits = view.waits || !worker.joined;
      continue;
    }
    const stage::Page& page = **worker.page;
    bool busy = activity_of(page) == stage::Activity::kBusy;
    switch (worker.slot.stage) {
      case Stage::kReader:
        moves(read(page.sequence));
        view.pending =
            read(page.window_batches) > 0 || (!paused_ && activity_of(page) == stage::Activity::kBlocked);
        view.waits = view.waits || read(page.failing) != 0;
        break;
      case Stage::kWriter:
        moves(read(page.sequence) + read(page.records_in) + read(page.commits));
        view.waits = view.waits || busy;
        break;
      case Stage::kFilter:
      case Stage::kProcessor:
        moves(read(page.at_source) + read(page.at_offset));
        view.waits = view.waits || (busy && read(page.at_source) != 0);
        processors = processors || worker.slot.stage == Stage::kProcessor;
        break;
    }
  }
  view.waits = view.waits || !processors;
  return view;
}

// Nothing moves, though there is something to do: whatever it is, it ends, and with a reason.
void Supervisor::check_progress() {
  if (liveness_.has_given_up()) {
    if (const std::string* why = liveness_.last_word(Clock::now())) end(kExitBug, *why);
    return;
  }
  if (!liveness_.see_progress(view_of_progress())) return;
  for (const Worker& worker : team_.workers()) {
    if (is_stopped(worker.child->pid())) return;  // the status message says so
  }
  give_up(
      fmt::format("no progress for {}: {}", config::format_duration(job_.no_progress), what_all_do(team_)));
}

// The reader knows what batch it is, and fails with that; if it does not, this is what there is to say.
void Supervisor::give_up(std::string why) {
  observer_.warning("no-progress", why);
  team_.send_to_reader(proto::GiveUp{why});
  liveness_.give_up(std::move(why), Clock::now());
}

}  // namespace leat::supervisor
