// The order of things. Every worker binds before any connects in earnest, and nothing is read before the
// output is known to be writable: so the writer is welcomed first, and tells the epoch it has begun in the ledger; then
// the others, with that epoch; and the reader last, when all of them have reported that they are ready.
//
// A filter or a processor that dies is replaced: its dealers get `member_removed`, and later `member_added` for
// the next one; and the reader sends again what it held. When the reader or the writer dies all are restarted, and
// the new writer begins a new epoch: one path for all that this can be (a kill, a crash, a sink that was unavailable).
//
// A worker that ends by itself may have said why just before, and its last message can be behind its pidfd. So such an
// end is judged only kLastWords later; one by a signal at once. Whatever ended the run, the end is the same: every worker
// is asked to leave, gets a moment, and is killed.
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <stdexcept>
#include <utility>
#include <variant>
#include <vector>

#include "config/text.h"
#include "daemon/supervisor/supervisor.h"
#include "proto/base/json.h"
#include "workers/stage/briefing.h"
#include "workers/stage/sandbox.h"

namespace leat::supervisor {

using proto::Stage;

namespace {

constexpr int kControlQueue = 1000;

std::string runtime_root(const Job& job) {
  return job.runtime_root.empty() ? default_runtime_root() : job.runtime_root;
}

std::string checked(const config::Pipeline& pipeline, const RuntimeFolder& folder) {
  if (std::string problem = Layout(pipeline, folder.path(), 1).problem(); !problem.empty()) {
    throw FolderError(problem);
  }
  return folder.path();
}

std::string briefing(const Job& job, const std::string& runtime) {
  return encode(
      stage::Briefing{.pipeline = job.pipeline,
                      .surroundings = {runtime, job.volatile_state ? runtime : job.state, job.volatile_state},
                      .follow = job.follow,
                      .daemon = job.daemon});
}

config::Budget value_of(Result<config::Budget> budget) {
  if (!budget) throw std::runtime_error(budget.error().text);
  return *budget;
}

// The epoch that the writer's first report names; 0: it names none.
std::uint64_t epoch_in(const std::string& details) {
  const auto document = parse_json_object(details);
  return document ? document->root().number("epoch") : 0;
}

void report_gaps(Observer& observer) {
  // What an older Landlock does not know, keepers of programs answer for.
  const std::string gaps = stage::sandbox_is_off()      ? "LEAT_SANDBOX=off"
                           : stage::landlock_abi() == 0 ? stage::sandbox_gaps()
                                                        : "";
  if (gaps.empty()) return;
  observer.warning("sandbox",
                   "workers and programs of exec steps are not confined as they should be: " + gaps);
}

}  // namespace

Supervisor::Supervisor(const Job& job, Observer& observer)
    : job_(job),
      observer_(observer),
      folder_(runtime_root(job), job.pipeline.name,
              job.fixed_folder ? RuntimeFolder::Kind::kFixed
                               : (job.runtime_root.empty() ? RuntimeFolder::Kind::kDefault
                                                           : RuntimeFolder::Kind::kChosen)),
      context_(1),
      control_(context_, proto::SocketKind::kRouter, kControlQueue, proto::kMaxControlBytes),
      runtime_(checked(job.pipeline, folder_)),
      descriptors_(runtime_, briefing(job, runtime_)),
      started_((control_.bind(Layout(job.pipeline, runtime_, 1).control()), Clock::now())),
      pool_(job),
      budget_(value_of(pool_.budget(pool_.wanted()))),
      team_(job.pipeline, runtime_, job.program_folder, pool_.wanted(), control_),
      judgement_(job),
      liveness_(job.no_progress),
      shutdown_(job) {
  report_gaps(observer);
}

// Not at its end: something was thrown. Those that joined cannot see that, as leatd continues, and must join again.
Supervisor::~Supervisor() {
  if (over()) return;
  try {
    team_.dismiss();
  } catch (const std::exception&) {
    // Nothing more can be done for them.
  }
}

void Supervisor::step() {
  descriptors_.serve(team_);
  receive();
  team_.reap();
  if (phase_ == RunPhase::kStopping) {
    see_stop_through();
  } else if (phase_ < RunPhase::kStopping) {
    go_on();
  }
  check_sink();  // also at the end: has it recovered?
  if (phase_ == RunPhase::kEnding) return disband();
  if (!over()) tick(false);
}

// A step of a run that is not to stop.
void Supervisor::go_on() {
  using Do = void (Supervisor::*)();
  static constexpr std::array<Do, 10> kInOrder{&Supervisor::judge_deaths,   &Supervisor::fill_slots,
                                               &Supervisor::adjust_pool,    &Supervisor::welcome_those_due,
                                               &Supervisor::check_start_up, &Supervisor::check_records,
                                               &Supervisor::check_stall,    &Supervisor::check_progress,
                                               &Supervisor::control_pool,   &Supervisor::see_drain_through};
  for (Do it : kInOrder) {
    (this->*it)();
    if (phase_ >= RunPhase::kEnding) return;
  }
}

// The next moment at which something is due by itself.
milliseconds Supervisor::due() const {
  Clock::time_point now = Clock::now();
  Clock::time_point next = now + kTick;
  for (const Worker& worker : team_.workers()) {
    if (worker.start_at) next = std::min(next, *worker.start_at);
  }
  auto left = std::chrono::duration_cast<milliseconds>(next - now);
  return std::clamp(left + milliseconds{1}, milliseconds{1}, kTick);
}

void Supervisor::add_to(proto::Poller& poller) {
  poller.add(control_);
  poller.add(descriptors_.fd());
  team_.watch(poller);
}

void Supervisor::end(int exit_code, std::string failure) {
  if (phase_ >= RunPhase::kEnding) return;
  phase_.enter(RunPhase::kEnding);
  outcome_.exit_code = exit_code;
  outcome_.failure = std::move(failure);
}

void Supervisor::note_event(std::string_view event, const Worker& worker) {
  observer_.happened(event,
                     {{"worker", slot_name(worker.slot)}, {"pid", std::to_string(worker.child->pid())}});
}

void Supervisor::receive() {
  for (int i = 0; i < kControlQueue; ++i) {  // a flood of warnings must not keep the rest waiting
    auto routed = control_.try_receive_routed();
    if (!routed) return;
    auto control = proto::decode_control(routed->message.view());
    Worker* worker = team_.find(routed->identity);
    if (!control) {
      observer_.warning(
          "message-refused",
          fmt::format("{}: {}", worker != nullptr ? worker->title() : config::in_quotes(routed->identity),
                      control.error().text));
      continue;
    }
    const auto* hello = std::get_if<proto::Hello>(&*control);
    if (hello != nullptr && hello->joins) {
      on_join(routed->identity, *hello);
    } else if (worker == nullptr) {
      if (hello == nullptr) continue;  // one that was replaced may have had a last word
      observer_.warning("worker-refused",
                        fmt::format("a worker without a slot in this pipeline was refused: {}",
                                    config::in_quotes(routed->identity)));
    } else if (hello != nullptr) {
      on_hello(*worker, *hello);
    } else if (const auto* report = std::get_if<proto::Report>(&*control)) {
      on_report(*worker, *report);
    } else if (const auto* drained = std::get_if<proto::MemberDrained>(&*control)) {
      on_drained(*worker, *drained);
    }
  }
}

void Supervisor::on_hello(Worker& worker, const proto::Hello& hello) {
  Slot said{hello.role, hello.index};
  if (said != worker.slot || hello.instance != worker.instance || !worker.child ||
      hello.pid != worker.child->pid() || worker.page) {
    observer_.warning("worker-refused", fmt::format("a second {} was refused: pid {} says it is {}",
                                                    worker_name(worker.slot, worker.instance), hello.pid,
                                                    worker_name(said, hello.instance)));
    return;
  }
  if (worker.state != WorkerState::kStarting) return;  // it was killed meanwhile
  if (hello.version != LEAT_VERSION) {
    end(kExitBug, fmt::format("{} is of version {}, leat of {}: install all programs of one release",
                              worker.title(), hello.version, LEAT_VERSION));
    return;
  }
  try {
    worker.page.emplace(stage::MappedPage::open(team_.layout().page(worker.slot, worker.instance)));
    worker.state.enter(WorkerState::kGreeted);
  } catch (const std::runtime_error& error) {
    end(kExitBug, fmt::format("{} has made no page: {}", worker.title(), error.what()));
  }
}

void Supervisor::welcome(Worker& worker) {
  proto::Welcome message;
  message.epoch = epoch_;
  message.briefing = descriptors_.briefing_digest();
  message.index = worker.slot.index;
  message.instance = worker.instance;
  const auto window_batches = static_cast<std::uint32_t>(budget_.window_batches);
  if (worker.slot.stage == Stage::kReader) message.reader = {budget_.window_bytes, window_batches, {}};
  if (worker.slot.stage == Stage::kWriter) {
    message.writer = {window_batches,   {},         job_.run, job_.force, job_.fresh, job_.accept_changes,
                      job_.fingerprint, job_.reread};
  }
  team_.welcome_endpoints(message, worker);
  if (team_.send(worker, message)) worker.state.enter(WorkerState::kWelcomed);
  worker.started = Clock::now();  // before that it waited for others
  if (worker.state == WorkerState::kGreeted && worker.running()) {
    observer_.warning("worker-lost",
                      fmt::format("{} said hello and did not wait for the answer", worker.title()));
  }
  if (worker.slot.stage != Stage::kReader || worker.state != WorkerState::kWelcomed) return;
  if (phase_ == RunPhase::kStarting) phase_.enter(RunPhase::kRunning);
  if (!reading_since_) reading_since_ = Clock::now();
  if (paused_) pause(true);
}

void Supervisor::welcome_those_due() {
  std::vector<const Worker*> lost;
  for (Worker& worker : team_.workers()) {
    if (worker.state != WorkerState::kGreeted || !worker.running()) continue;
    bool due =
        worker.slot.stage == Stage::kWriter ||
        (worker.slot.stage == Stage::kReader ? epoch_ != 0 && team_.all_but_reader_ready() : epoch_ != 0);
    if (due) welcome(worker);
    if (due && worker.joined && worker.state == WorkerState::kGreeted) lost.push_back(&worker);
  }
  for (const Worker* worker : lost) team_.remove(*worker);  // should it be there after all, it asks again
}

void Supervisor::on_report(Worker& worker, const proto::Report& report) {
  switch (report.kind) {
    case proto::ReportKind::kReady:
      if (worker.joined && !worker.page) {
        try {
          worker.page.emplace(stage::MappedPage::open(team_.layout().page(worker.slot, worker.instance)));
        } catch (const std::runtime_error& error) {
          observer_.warning("worker-refused",
                            fmt::format("{} has made no page: {}", worker.title(), error.what()));
          break;
        }
      }
      // Told to finish before it was ready, it stays at that.
      if (worker.state == WorkerState::kWelcomed) worker.state.enter(WorkerState::kReady);
      if (worker.slot.stage == Stage::kWriter) epoch_ = std::max<std::uint64_t>(epoch_in(report.details), 1);
      if (dies_alone(worker.slot.stage) && !worker.draining) {
        team_.send_to_dealers(worker, proto::MemberAdded{worker.slot.index, worker.instance,
                                                         team_.layout().input(worker.slot, worker.instance)});
      }
      note_event(worker.joined ? "worker-joined" : "worker-ready", worker);
      break;
    case proto::ReportKind::kWarning:
      observer_.warning(fmt::format("{}-warning", to_string(worker.slot.stage)), report.text);
      break;
    case proto::ReportKind::kFailed:
      if (worker.joined) {
        observer_.warning("worker-failed", fmt::format("{}: {}", worker.title(), report.text));
      } else if (report.retry && !job_.volatile_state) {
        worker.retry = report.text;
      } else {
        end(report.exit_code == kExitOk ? int{kExitBug} : report.exit_code, report.text);
      }
      break;
    case proto::ReportKind::kDone:
      if (worker.slot.stage != Stage::kWriter) break;
      outcome_.details = report.details;
      end(kExitOk, {});
      break;
    case proto::ReportKind::kFinished:
      if (worker.state == WorkerState::kFinishing) worker.state.enter(WorkerState::kFinished);
      break;
    case proto::ReportKind::kLeave:
      if (worker.joined && !worker.draining) start_draining(worker);
      break;
  }
}

void Supervisor::pause(bool on) {
  paused_ = on;
  team_.send_to_reader(proto::Pause{on});
}

}  // namespace leat::supervisor
