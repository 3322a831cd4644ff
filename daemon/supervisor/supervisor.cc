// The order of things. Everyone binds before anyone connects in earnest, and nothing is read before the
// output is known to be writable: so all workers but the reader are welcomed as they come, and the reader
// only when all others have reported that they are ready.
//
// A worker that dies may have said why just before, and its last message can be behind its pidfd. So a death
// is judged only kLastWords later. Whatever ended the run, the end is the same: everyone is told to leave
// (the writer removes its temporary file then), gets a moment, and is killed.
#include "daemon/supervisor/supervisor.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <utility>
#include <variant>

#include "config/text.h"
#include "daemon/supervisor/runtime_folder.h"
#include "daemon/supervisor/signals.h"
#include "daemon/supervisor/team.h"

namespace leat::supervisor {

using proto::Stage;
using std::chrono::milliseconds;

namespace {

constexpr milliseconds kTick{200};
constexpr milliseconds kLastWords{300};
constexpr milliseconds kLeave{2'000};         // to leave when told so
constexpr milliseconds kLeaveHurried{1'000};  // after a second signal
// Reading smaps_rollup makes the kernel walk a whole address space, so not for ever at the rate that catches
// the peak of a short run.
constexpr milliseconds kMemoryOften{250};
constexpr milliseconds kMemorySeldom{1'000};
constexpr milliseconds kOften{5'000};
constexpr int kControlQueue = 1000;

std::string runtime_root(const Job& job) {
  return job.runtime_root.empty() ? default_runtime_root() : job.runtime_root;
}

std::string checked(const Layout& layout, const RuntimeFolder& folder) {
  if (std::string problem = layout.problem(); !problem.empty()) throw FolderError(problem);
  return folder.path();
}

}  // namespace

class Supervisor::Loop {
 public:
  Loop(const Job& job, Observer& observer)
      : job_(job),
        observer_(observer),
        folder_(runtime_root(job), job.pipeline.name, !job.runtime_root.empty()),
        layout_(job.pipeline, folder_.path(), job.epoch),
        context_(1),
        control_(context_, proto::SocketKind::kRouter, kControlQueue, proto::kMaxControlBytes),
        runtime_(checked(layout_, folder_)),
        started_(bind()),
        team_(job.pipeline, layout_, runtime_, job.program_folder) {}

  Outcome run() {
    while (!over_) {
      wait(kTick);
      if (signals_.take() > 0) on_signal();
      receive();
      team_.reap();
      if (!over_) judge_deaths();
      if (!over_) welcome_reader();
      if (!over_) check_start_up();
      send_drain();
      tick(false);
    }
    tick(true);
    disband();
    return std::move(outcome_);
  }

 private:
  Clock::time_point bind() {
    control_.bind(layout_.control());
    return Clock::now();
  }
  void wait(milliseconds timeout);
  void receive();
  void on_hello(const Seat& seat, const proto::Hello& hello);
  void on_report(Worker& worker, const proto::Report& report);
  void on_signal();
  void welcome(Worker& worker);
  void welcome_reader();
  void send_drain();
  void judge_deaths();
  void check_start_up();
  void tick(bool last);
  void disband();
  void end(int exit_code, std::string failure);

  const Job& job_;
  Observer& observer_;
  Signals signals_;
  RuntimeFolder folder_;
  Layout layout_;
  proto::Context context_;
  proto::Socket control_;
  std::string runtime_;
  Clock::time_point started_;
  Team team_;

  std::optional<Clock::time_point> reading_since_;
  Clock::time_point next_tick_{};
  Clock::time_point next_memory_{};
  std::uint64_t peak_memory_ = 0;
  bool drain_ = false;
  bool drain_sent_ = false;
  bool hurry_ = false;
  bool start_up_checked_ = false;
  bool over_ = false;
  Outcome outcome_;
};

void Supervisor::Loop::wait(milliseconds timeout) {
  proto::Poller poller;
  poller.add(control_);
  poller.add(signals_.fd());
  team_.watch(poller);
  poller.wait(timeout);
}

void Supervisor::Loop::end(int exit_code, std::string failure) {
  if (over_) return;
  over_ = true;
  outcome_.exit_code = exit_code;
  outcome_.failure = std::move(failure);
}

void Supervisor::Loop::receive() {
  for (int i = 0; i < kControlQueue; ++i) {  // a flood of warnings must not keep signals waiting
    auto routed = control_.try_receive_routed();
    if (!routed) return;
    std::optional<Seat> seat = parse_seat(routed->identity);
    Worker* worker = seat ? team_.find(*seat) : nullptr;
    auto control = proto::decode_control(routed->message.view());
    if (worker == nullptr || !control) {
      observer_.warning(worker == nullptr
                            ? fmt::format("a worker without a place in this pipeline was refused: {}",
                                          config::quoted(routed->identity))
                            : fmt::format("{}: {}", worker->title(), control.error().text));
      continue;
    }
    if (const auto* hello = std::get_if<proto::Hello>(&*control)) on_hello(*seat, *hello);
    if (const auto* report = std::get_if<proto::Report>(&*control)) on_report(*worker, *report);
  }
}

void Supervisor::Loop::on_hello(const Seat& seat, const proto::Hello& hello) {
  Worker& worker = *team_.find(seat);
  if (Seat{hello.role, hello.index} != seat || hello.pid != worker.child.pid() || worker.page) {
    observer_.warning(fmt::format("a second {} was refused: pid {} says it is {}", seat_name(seat), hello.pid,
                                  seat_name({hello.role, hello.index})));
    return;
  }
  if (hello.version != LEAT_VERSION) {
    end(kExitBug, fmt::format("{} is of version {}, leat of {}: install all programs of one release",
                              worker.title(), hello.version, LEAT_VERSION));
    return;
  }
  try {
    worker.page.emplace(stage::MappedPage::open(layout_.page(seat)));
  } catch (const std::runtime_error& error) {
    end(kExitBug, fmt::format("{} has made no page: {}", worker.title(), error.what()));
    return;
  }
  if (seat.stage != Stage::kReader) welcome(worker);
}

void Supervisor::Loop::welcome(Worker& worker) {
  proto::Welcome message;
  message.pipeline_file = job_.pipeline.file;
  message.pipeline_text = job_.pipeline_text;
  message.window_bytes = job_.window_bytes;
  message.window_batches = job_.window_batches;
  message.force = job_.force;
  message.follow = job_.follow;
  layout_.fill(message, worker.seat);
  proto::Message bytes = encode(proto::Control{message});
  worker.welcomed = control_.try_send(seat_name(worker.seat), bytes);
  if (!worker.welcomed)
    end(kExitBug, fmt::format("{} said hello and did not wait for the answer", worker.title()));
}

void Supervisor::Loop::welcome_reader() {
  Worker& reader = team_.reader();
  if (reader.welcomed || !reader.page || !team_.all_but_reader_ready()) return;
  welcome(reader);
  reading_since_ = Clock::now();
}

void Supervisor::Loop::on_report(Worker& worker, const proto::Report& report) {
  switch (report.kind) {
    case proto::ReportKind::kReady:
      worker.ready = true;
      break;
    case proto::ReportKind::kWarning:
      observer_.warning(report.text);
      break;
    case proto::ReportKind::kFailed:
      end(report.exit_code == kExitOk ? int{kExitBug} : report.exit_code, report.text);
      break;
    case proto::ReportKind::kDone:
      if (worker.seat.stage != Stage::kWriter) break;
      outcome_.details = report.details;
      end(kExitOk, {});
      break;
  }
}

void Supervisor::Loop::on_signal() {
  if (drain_ || !reading_since_) {
    hurry_ = true;
    end(kExitStopped, drain_ ? "stopped at once" : "stopped before anything was read");
    return;
  }
  drain_ = true;
  observer_.note("stopping: finishing what is in the window (again to stop at once)");
}

void Supervisor::Loop::send_drain() {
  if (!drain_ || drain_sent_ || over_) return;
  proto::Message stop = encode(proto::Control{proto::Stop{true}});
  drain_sent_ = control_.try_send(seat_name(team_.reader().seat), stop);
}

void Supervisor::Loop::judge_deaths() {
  for (const Worker& worker : team_.workers()) {
    if (!worker.ended || Clock::now() - *worker.ended < kLastWords) continue;
    std::string at = worker.at();
    if (!at.empty()) at = fmt::format(" It was at: {}.", at);
    int code = worker.child.exit_code();
    end(code >= kExitUsage && code <= kExitConfig ? code : int{kExitBug},
        fmt::format("{} {}.{} The run ends here; nothing half-written was left under the final name",
                    worker.title(), worker.child.fate(), at));
    return;
  }
}

void Supervisor::Loop::check_start_up() {
  if (start_up_checked_ || Clock::now() - started_ < job_.start_up) return;
  start_up_checked_ = true;
  for (const Worker& worker : team_.workers()) {
    if (worker.ready || (worker.seat.stage == Stage::kReader && worker.page)) continue;
    if (std::string at = worker.at(); !at.empty()) {
      observer_.note(fmt::format("{} is not ready yet: {}", worker.title(), at));
      continue;
    }
    auto seconds = std::chrono::duration<double>(job_.start_up).count();
    end(kExitBug,
        fmt::format("{} did not start up within {} s and does not say why", worker.title(), seconds));
    return;
  }
}

void Supervisor::Loop::tick(bool last) {
  Clock::time_point now = Clock::now();
  if (!last && now < next_tick_) return;
  next_tick_ = now + kTick;
  if (last || now >= next_memory_) {
    peak_memory_ = std::max(peak_memory_, team_.memory_bytes());
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

void Supervisor::Loop::disband() {
  Clock::time_point deadline = Clock::now() + (hurry_ ? kLeaveHurried : kLeave);
  while (team_.anyone_left() && Clock::now() < deadline) {
    team_.dismiss(control_);
    auto left = std::chrono::duration_cast<milliseconds>(deadline - Clock::now());
    wait(std::clamp(left, milliseconds{1}, kTick));
    if (signals_.take() > 0) deadline = std::min(deadline, Clock::now() + kLeaveHurried);
    // Last words of those who leave: warnings are worth having, and a full queue would hold them up.
    receive();
    team_.reap();
  }
  team_.kill();
}

Supervisor::Supervisor(const Job& job, Observer& observer) : loop_(std::make_unique<Loop>(job, observer)) {}
Supervisor::~Supervisor() = default;

Outcome Supervisor::run() {
  return loop_->run();
}

}  // namespace leat::supervisor
