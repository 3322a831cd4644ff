// The order of things. Everyone binds before anyone connects in earnest, and nothing is read before the
// output is known to be writable: so the writer is welcomed first, and tells the epoch it has begun in the ledger; then
// the others, with that epoch; and the reader last, when all of them have reported that they are ready.
//
// A filter or a processor that dies is replaced: those who deal to it are told that its place is empty, and later who
// has it; and the reader sends again what it held. When the reader or the writer dies everybody is started anew, and
// the new writer begins a new epoch: one path for all that this can be (a kill, a crash, a sink that was away).
//
// A worker that ends by itself may have said why just before, and its last message can be behind its pidfd. So such an
// end is judged only kLastWords later; one by a signal at once. Whatever ended the run, the end is the same: everyone
// is told to leave, gets a moment, and is killed.
#include "daemon/supervisor/supervisor.h"

#include <fmt/format.h>
#include <rapidjson/document.h>

#include <algorithm>
#include <optional>
#include <utility>
#include <variant>
#include <vector>

#include "config/scalar.h"
#include "config/text.h"
#include "daemon/supervisor/deaths.h"
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
constexpr milliseconds kStalled{2'000};       // nobody works, and yet something is under way
// Reading smaps_rollup makes the kernel walk a whole address space, so not for ever at the rate that catches
// the peak of a short run.
constexpr milliseconds kMemoryOften{250};
constexpr milliseconds kMemorySeldom{1'000};
constexpr milliseconds kOften{5'000};
constexpr int kControlQueue = 1000;
constexpr std::size_t kRecordsRemembered = 10'000;  // at which somebody died

std::string runtime_root(const Job& job) {
  return job.runtime_root.empty() ? default_runtime_root() : job.runtime_root;
}

std::string checked(const config::Pipeline& pipeline, const RuntimeFolder& folder) {
  if (std::string problem = Layout(pipeline, folder.path(), 1).problem(); !problem.empty()) {
    throw FolderError(problem);
  }
  return folder.path();
}

// The epoch that the writer's first report names; 0: it names none.
std::uint64_t epoch_in(const std::string& details) {
  rapidjson::Document document;
  document.Parse<rapidjson::kParseIterativeFlag>(details.data(), details.size());
  if (document.HasParseError() || !document.IsObject()) return 0;
  auto epoch = document.FindMember("epoch");
  return epoch != document.MemberEnd() && epoch->value.IsUint64() ? epoch->value.GetUint64() : 0;
}

std::uint64_t read(const std::atomic<std::uint64_t>& field) {
  return field.load(std::memory_order_relaxed);
}

bool dies_alone(Stage stage) {
  return stage == Stage::kFilter || stage == Stage::kProcessor;
}

}  // namespace

class Supervisor::Loop {
 public:
  Loop(const Job& job, Observer& observer)
      : job_(job),
        observer_(observer),
        folder_(runtime_root(job), job.pipeline.name, !job.runtime_root.empty()),
        context_(1),
        control_(context_, proto::SocketKind::kRouter, kControlQueue, proto::kMaxControlBytes),
        runtime_(checked(job.pipeline, folder_)),
        state_(job.volatile_state ? runtime_ : job.state),
        started_(bind()),
        team_(job.pipeline, runtime_, job.program_folder) {}

  Outcome run() {
    while (!over_) {
      wait(until_next());
      if (signals_.take() > 0) on_signal();
      receive();
      team_.reap();
      if (!over_) judge_deaths();
      if (!over_) fill_seats();
      if (!over_) welcome_those_due();
      if (!over_) check_start_up();
      check_trouble();  // also at the end: was it back?
      if (!over_) check_records();
      if (!over_) check_stall();
      send_drain();
      tick(false);
    }
    tick(true);
    disband();
    return std::move(outcome_);
  }

 private:
  // What a worker was at when it was last looked at, and since when.
  struct Watch {
    std::uint32_t instance = 0;
    std::uint64_t sequence = 0, source = 0, offset = 0;
    Clock::time_point since{};
  };

  Clock::time_point bind() {
    control_.bind(Layout(job_.pipeline, runtime_, 1).control());
    return Clock::now();
  }
  milliseconds until_next();
  void wait(milliseconds timeout);
  void receive();
  void on_hello(Worker& worker, const proto::Hello& hello);
  void on_report(Worker& worker, const proto::Report& report);
  void on_signal();
  void welcome(Worker& worker);
  void welcome_those_due();
  void send_drain();
  void judge_deaths();
  void judge(Worker& worker);
  void take_out(Worker& worker);
  void blame(Worker& worker);
  void replace_all(Worker& cause, milliseconds pause);
  void fill_seats();
  void tell_dealers(const Worker& worker, bool gone);
  void check_start_up();
  void check_trouble();
  void check_records();
  void check_stall();
  void tick(bool last);
  void disband();
  void end(int exit_code, std::string failure);
  std::uint64_t progress();
  std::string obituary(const Worker& worker) const;

  const Job& job_;
  Observer& observer_;
  Signals signals_;
  RuntimeFolder folder_;
  proto::Context context_;
  proto::Socket control_;
  std::string runtime_;
  std::string state_;
  Clock::time_point started_;
  Team team_;

  std::uint64_t epoch_ = 0;  // 0: the writer has not begun it yet
  Deaths deaths_;
  std::uint64_t condemned_ = 0;       // records that became dead letters as they had killed
  std::uint64_t commits_before_ = 0;  // of writers that have gone
  std::uint64_t commits_seen_ = 0;
  std::vector<Watch> watches_;                      // by seat, as in the team
  std::optional<Clock::time_point> trouble_since_;  // the writer's sink is away
  std::string trouble_;
  std::optional<Clock::time_point> still_since_;
  std::optional<Clock::time_point> reading_since_;
  Clock::time_point next_tick_{};
  Clock::time_point next_memory_{};
  std::uint64_t peak_memory_ = 0;
  bool drain_ = false;
  bool drain_sent_ = false;
  bool hurry_ = false;
  bool over_ = false;
  Outcome outcome_;
};

// The next moment at which something is due by itself.
milliseconds Supervisor::Loop::until_next() {
  Clock::time_point now = Clock::now();
  Clock::time_point next = now + kTick;
  for (const Worker& worker : team_.workers()) {
    if (worker.start_at) next = std::min(next, *worker.start_at);
  }
  auto left = std::chrono::duration_cast<milliseconds>(next - now);
  return std::clamp(left + milliseconds{1}, milliseconds{1}, kTick);
}

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
    std::optional<Name> name = parse_worker_name(routed->identity);
    Worker* worker = name ? team_.find(*name) : nullptr;
    if (worker == nullptr) {
      // One that was replaced may have had a last word.
      if (!name || team_.find(name->seat) == nullptr) {
        observer_.warning(fmt::format("a worker without a place in this pipeline was refused: {}",
                                      config::quoted(routed->identity)));
      }
      continue;
    }
    auto control = proto::decode_control(routed->message.view());
    if (!control) {
      observer_.warning(fmt::format("{}: {}", worker->title(), control.error().text));
      continue;
    }
    if (const auto* hello = std::get_if<proto::Hello>(&*control)) on_hello(*worker, *hello);
    if (const auto* report = std::get_if<proto::Report>(&*control)) on_report(*worker, *report);
  }
}

void Supervisor::Loop::on_hello(Worker& worker, const proto::Hello& hello) {
  Seat said{hello.role, hello.index};
  if (said != worker.seat || hello.instance != worker.instance || !worker.child ||
      hello.pid != worker.child->pid() || worker.page) {
    observer_.warning(fmt::format("a second {} was refused: pid {} says it is {}",
                                  worker_name(worker.seat, worker.instance), hello.pid,
                                  worker_name(said, hello.instance)));
    return;
  }
  if (hello.version != LEAT_VERSION) {
    end(kExitBug, fmt::format("{} is of version {}, leat of {}: install all programs of one release",
                              worker.title(), hello.version, LEAT_VERSION));
    return;
  }
  try {
    worker.page.emplace(stage::MappedPage::open(team_.layout().page(worker.seat, worker.instance)));
  } catch (const std::runtime_error& error) {
    end(kExitBug, fmt::format("{} has made no page: {}", worker.title(), error.what()));
  }
}

void Supervisor::Loop::welcome(Worker& worker) {
  proto::Welcome message;
  message.epoch = epoch_;
  message.pipeline_file = job_.pipeline.file;
  message.pipeline_text = job_.pipeline_text;
  message.window_bytes = job_.window_bytes;
  message.window_batches = job_.window_batches;
  message.force = job_.force;
  message.follow = job_.follow;
  message.state = state_;
  message.run = job_.run;
  message.volatile_state = job_.volatile_state;
  message.fresh = job_.fresh;
  message.accept_changes = job_.accept_changes;
  message.fingerprint = job_.fingerprint;
  message.reread = job_.reread;
  team_.welcome_endpoints(message, worker);
  worker.welcomed = team_.tell(worker, message, control_);
  if (!worker.welcomed && worker.running()) {
    observer_.warning(fmt::format("{} said hello and did not wait for the answer", worker.title()));
  }
  if (worker.seat.stage != Stage::kReader || !worker.welcomed) return;
  if (!reading_since_) reading_since_ = Clock::now();
}

void Supervisor::Loop::welcome_those_due() {
  for (Worker& worker : team_.workers()) {
    if (worker.welcomed || !worker.page || !worker.running()) continue;
    bool due =
        worker.seat.stage == Stage::kWriter ||
        (worker.seat.stage == Stage::kReader ? epoch_ != 0 && team_.all_but_reader_ready() : epoch_ != 0);
    if (due) welcome(worker);
  }
}

void Supervisor::Loop::on_report(Worker& worker, const proto::Report& report) {
  switch (report.kind) {
    case proto::ReportKind::kReady:
      worker.ready = true;
      if (worker.seat.stage == Stage::kWriter) epoch_ = std::max<std::uint64_t>(epoch_in(report.details), 1);
      if (dies_alone(worker.seat.stage)) tell_dealers(worker, false);
      break;
    case proto::ReportKind::kWarning:
      observer_.warning(report.text);
      break;
    case proto::ReportKind::kFailed:
      if (report.retry && !job_.volatile_state) {
        worker.retry = report.text;
      } else {
        end(report.exit_code == kExitOk ? int{kExitBug} : report.exit_code, report.text);
      }
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
  if (!drain_ || drain_sent_ || over_ || !team_.reader().welcomed) return;
  drain_sent_ = team_.tell(team_.reader(), proto::Stop{true}, control_);
}

std::string Supervisor::Loop::obituary(const Worker& worker) const {
  std::string at = worker.at();
  if (!at.empty()) at = fmt::format(" It was at: {}.", at);
  std::string fate = worker.killed_for.empty() ? worker.child->fate() : worker.killed_for;
  return fmt::format("{} {}.{}", worker.title(), fate, at);
}

// Grows with whatever shows that the run gets on.
std::uint64_t Supervisor::Loop::progress() {
  if (team_.writer().page) commits_seen_ = read((*team_.writer().page)->commits);
  return commits_before_ + commits_seen_ + condemned_;
}

void Supervisor::Loop::judge_deaths() {
  for (Worker& worker : team_.workers()) {
    if (over_) return;
    if (!worker.ended || worker.judged) continue;
    // By a signal: there were no last words. A worker of which all is known need not be waited for either.
    bool spoke = worker.child->exit_code() < 0 || !worker.retry.empty();
    if (!spoke && Clock::now() - *worker.ended < kLastWords) continue;
    worker.judged = true;
    judge(worker);
    if (!dies_alone(worker.seat.stage)) return;  // everybody is new now
  }
}

void Supervisor::Loop::judge(Worker& worker) {
  int code = worker.child->exit_code();
  std::string text = obituary(worker);
  if (worker.retry.empty() && code >= kExitUsage && code <= kExitConfig) {
    return end(code, fmt::format("{} The run ends here", text));
  }
  if (job_.volatile_state && !dies_alone(worker.seat.stage)) {
    return end(kExitBug, fmt::format("{} The run ends here: what went into {} cannot be taken back", text,
                                     job_.pipeline.sink.path));
  }
  milliseconds pause{0};
  if (!worker.retry.empty()) {
    // The sink is away: that is no fault of the worker, and lasts as long as it lasts.
    if (!trouble_since_) {
      trouble_since_ = Clock::now();
      observer_.warning(fmt::format("{}; trying again until it works", worker.retry));
    }
    trouble_ = worker.retry;
    pause = milliseconds{500};
  } else {
    int in_a_row = deaths_.in_a_row(worker.seat.stage, progress());
    if (in_a_row >= Deaths::kMostInARow) {
      return end(kExitBug,
                 fmt::format("{} {} of them died and nothing was committed between. The run ends here; "
                             "run again to go on",
                             text, in_a_row));
    }
    pause = Deaths::pause(in_a_row);
    observer_.warning(fmt::format("{} Another one takes its place", text));
  }
  if (!dies_alone(worker.seat.stage)) return replace_all(worker, pause);
  take_out(worker);
  worker.start_at = Clock::now() + pause;
}

// A filter or processor that has gone: nobody deals to it any more, and what it held is sent again.
void Supervisor::Loop::take_out(Worker& worker) {
  worker.ready = false;
  tell_dealers(worker, true);
  blame(worker);
  Worker& reader = team_.reader();
  if (reader.welcomed) static_cast<void>(team_.tell(reader, proto::Again{worker.instance}, control_));
}

void Supervisor::Loop::tell_dealers(const Worker& worker, bool gone) {
  auto dealers = team_.layout().dealer_of(worker.seat.stage);
  if (!dealers) return;
  proto::Pool pool{worker.seat.index, worker.instance,
                   gone ? std::string() : team_.layout().input(worker.seat, worker.instance)};
  for (const Worker& other : team_.workers()) {
    if (other.seat.stage == *dealers && other.welcomed && other.running()) {
      static_cast<void>(team_.tell(other, pool, control_));
    }
  }
}

// Which record was it at? The third death at one makes it a dead letter.
void Supervisor::Loop::blame(Worker& worker) {
  if (!worker.page) return;
  std::uint64_t source = read((*worker.page)->at_source);
  std::uint64_t offset = read((*worker.page)->at_offset);
  if (source == 0) return;
  if (deaths_.records() > kRecordsRemembered) deaths_.forget_records();
  int deaths = deaths_.at_record(source, offset);
  if (deaths < Deaths::kMostAtARecord) return;
  deaths_.forget_record(source, offset);
  std::string fate = worker.killed_for.empty() ? worker.child->fate() : worker.killed_for;
  proto::Verdict verdict{
      source, offset, worker.seat.stage, static_cast<std::uint32_t>(deaths),
      fmt::format("the {} {}, {} times at this record", to_string(worker.seat.stage), fate, deaths)};
  observer_.warning(fmt::format("the record at offset {} of source {} becomes a dead letter: {}", offset,
                                source, verdict.reason));
  ++condemned_;
  Worker& reader = team_.reader();
  if (reader.welcomed) static_cast<void>(team_.tell(reader, verdict, control_));
}

void Supervisor::Loop::replace_all(Worker& cause, milliseconds pause) {
  if (pause.count() > 0) {
    // Nobody works meanwhile: the others' batches are void anyway.
    cause.start_at = Clock::now() + pause;
    return;
  }
  progress();
  commits_before_ += std::exchange(commits_seen_, 0);
  epoch_ = 0;
  // A source that is not committed yet may get another number in the next epoch: a record that kills is found again.
  deaths_.forget_records();
  drain_sent_ = false;
  still_since_.reset();
  team_.start_all_again();
}

void Supervisor::Loop::fill_seats() {
  Clock::time_point now = Clock::now();
  for (Worker& worker : team_.workers()) {
    if (!worker.start_at || *worker.start_at > now) continue;
    worker.start_at.reset();
    if (!dies_alone(worker.seat.stage)) return replace_all(worker, milliseconds{0});
    team_.start_again(worker);
  }
}

void Supervisor::Loop::check_start_up() {
  for (Worker& worker : team_.workers()) {
    if (worker.ready || !worker.running() || Clock::now() - worker.started < job_.start_up) continue;
    if (worker.seat.stage == Stage::kReader && worker.page) continue;
    // Waiting for the writer's epoch is no fault of theirs.
    if (worker.seat.stage != Stage::kWriter && worker.page && epoch_ == 0) continue;
    if (std::string at = worker.at(); !at.empty()) {
      bool waits = worker.seat.stage == Stage::kWriter &&
                   !job_.volatile_state;  // the reader of a FIFO may take its time
      if (waits && !trouble_since_) trouble_since_ = worker.started;
      worker.started = Clock::now();
      observer_.note(fmt::format("{} is not ready yet: {}", worker.title(), at));
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
    observer_.note(fmt::format("the sink is back after {} s", seconds));
    trouble_since_.reset();
    return;
  }
  if (job_.follow || now - *trouble_since_ <= job_.pipeline.source.give_up) return;
  if (std::string at = writer.at(); !writer.ready && !at.empty()) trouble_ = std::move(at);
  end(kExitIo, fmt::format("{}; for more than {} (source.give_up). Run again to go on", trouble_,
                           config::format_duration(job_.pipeline.source.give_up)));
}

// One record in one worker must not take longer than process.timeout. Steps that keep time themselves say so.
void Supervisor::Loop::check_records() {
  watches_.resize(team_.workers().size());
  Clock::time_point now = Clock::now();
  for (std::size_t i = 0; i < watches_.size(); ++i) {
    Worker& worker = team_.workers()[i];
    if (!dies_alone(worker.seat.stage) || !worker.page || !worker.running()) continue;
    const stage::Page& page = **worker.page;
    bool at_record =
        page.activity.load(std::memory_order_relaxed) == static_cast<std::uint32_t>(stage::Activity::kBusy) &&
        page.at_guarded.load(std::memory_order_relaxed) == 0 && read(page.at_source) != 0;
    Watch seen{worker.instance, read(page.sequence), read(page.at_source), read(page.at_offset), now};
    Watch& watch = watches_[i];
    bool same = at_record && watch.instance == seen.instance && watch.sequence == seen.sequence &&
                watch.source == seen.source && watch.offset == seen.offset;
    if (!same) {
      watch = seen;
      continue;
    }
    if (now - watch.since < job_.pipeline.process.timeout || !worker.killed_for.empty()) continue;
    worker.killed_for = fmt::format("took longer than {} (process.timeout)",
                                    config::format_duration(job_.pipeline.process.timeout));
    worker.child->kill();
  }
}

// Everybody idle, and the writer waits for something all the same: whatever was lost on the way, the reader has it.
void Supervisor::Loop::check_stall() {
  auto idle = [](const Worker& worker) {
    return worker.ready && worker.page &&
           (*worker.page)->activity.load(std::memory_order_relaxed) ==
               static_cast<std::uint32_t>(stage::Activity::kIdle);
  };
  Worker& reader = team_.reader();
  bool still = reader.welcomed && reader.page && read((*reader.page)->window_batches) > 0;
  std::uint64_t now_ns = stage::monotonic_ns();
  for (const Worker& worker : team_.workers()) {
    if (!still || worker.seat.stage == Stage::kReader) continue;
    constexpr auto kStillNs = static_cast<std::uint64_t>(std::chrono::nanoseconds(kStalled).count());
    still = idle(worker) && now_ns - std::min(now_ns, read((*worker.page)->activity_since_ns)) >= kStillNs;
  }
  Clock::time_point now = Clock::now();
  if (still && !still_since_) {
    still_since_ = now;
    observer_.warning("batches were lost on their way: they are sent again");
    static_cast<void>(team_.tell(reader, proto::Again{0}, control_));
  } else if (!still || now - *still_since_ > kStalled) {
    still_since_.reset();
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
