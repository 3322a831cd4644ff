#include "workers/stage/worker.h"

#include <fmt/format.h>
#include <malloc.h>
#include <poll.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <system_error>
#include <utility>

#include "config/budget.h"
#include "config/parse.h"
#include "config/printable.h"
#include "workers/stage/service.h"

namespace leat::stage {

namespace {

using std::chrono::milliseconds;

constexpr int kControlHighWaterMark = 64;
constexpr milliseconds kJoinPatience{30'000};
constexpr milliseconds kHelloAgain{2'000};
// A batch is made to take about 100 ms.
constexpr milliseconds kFinishBatch{300};

// Batches are allocated and freed all the time, by two threads. Kept on one heap and below the mmap threshold
// they reuse warm pages; otherwise each batch costs a page fault per 4 KiB, more than everything else done
// with it. Larger records are mapped, and given back when they are freed.
void tune_malloc() {
  constexpr int kLargerIsMapped = 3 * 1024 * 1024;
  ::mallopt(M_ARENA_MAX, 1);
  ::mallopt(M_MMAP_THRESHOLD, kLargerIsMapped);
  ::mallopt(M_TRIM_THRESHOLD, kLargerIsMapped);
  ::mallopt(M_TOP_PAD, 256 * 1024);
}

Fd open_signals() {
  sigset_t mask;
  sigemptyset(&mask);
  sigaddset(&mask, SIGTERM);
  sigaddset(&mask, SIGINT);
  sigaddset(&mask, SIGHUP);
  ::sigprocmask(SIG_BLOCK, &mask, nullptr);
  ::signal(SIGPIPE, SIG_IGN);
  ::signal(SIGXFSZ, SIG_IGN);  // write() says EFBIG instead
  return Fd(::signalfd(-1, &mask, SFD_CLOEXEC | SFD_NONBLOCK));
}

std::string page_path(const std::string& runtime, proto::Stage role, std::uint32_t index,
                      std::uint32_t instance) {
  return fmt::format("{}/{}-{}.{}.page", runtime, proto::to_string(role), index, instance);
}

bool address_space_is_limited() {
  rlimit limit{};
  return ::getrlimit(RLIMIT_AS, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY;
}

// Why nobody answers there, as far as it can be seen from here.
std::string joining_at(const std::string& endpoint) {
  constexpr std::string_view kIpc = "ipc://";
  std::string path = endpoint.starts_with(kIpc) ? endpoint.substr(kIpc.size()) : endpoint;
  if (::access(path.c_str(), W_OK) == 0) return fmt::format("waiting for the supervisor at {}", endpoint);
  if (errno == EACCES) {
    return fmt::format(
        "{}: permission denied; it must be started as the user that leatd runs as (sudo -u leat ...)", path);
  }
  return fmt::format("{}: {}; waiting for leatd to run that pipeline", path,
                     std::system_category().message(errno));
}

}  // namespace

Worker::Worker(proto::Stage role, const Arguments& arguments)
    : role_(role),
      index_(arguments.index),
      instance_(arguments.instance),
      join_(arguments.join),
      signals_(open_signals()),
      context_(1),
      control_(context_, proto::SocketKind::kDealer, kControlHighWaterMark, proto::kMaxControlBytes) {
  if (join_.empty()) {
    page_.emplace(MappedPage::create(page_path(arguments.runtime_dir, role, index_, instance_)));
    control_.set_routing_id(fmt::format("{}-{}.{}", proto::to_string(role), index_, instance_));
    control_.connect(arguments.control);
    return;
  }
  std::uint64_t nonce = 0;
  if (::getrandom(&nonce, sizeof nonce, 0) != static_cast<ssize_t>(sizeof nonce)) {
    throw std::system_error(errno, std::generic_category(), "getrandom");
  }
  control_.set_routing_id(fmt::format("join-{}-{:x}", ::getpid(), nonce));
  control_.connect(join_);
}

// One that was started by the supervisor is expected there. One that joins waits for as long as it takes, and asks again:
// the supervisor that it asked may have gone without a word.
void Worker::join() {
  using Clock = std::chrono::steady_clock;
  proto::Poller poller;
  add_to(poller);
  auto begin = Clock::now();
  auto next_hello = begin;
  std::string said;
  while (welcome_.pipeline_text.empty() && !leaving_ && refusal_.empty()) {
    auto now = Clock::now();
    if (now >= next_hello) {
      send(proto::Hello{role_, index_, instance_, ::getpid(), LEAT_VERSION, !join_.empty()});
      next_hello = join_.empty() ? begin + kJoinPatience : now + kHelloAgain;
    } else if (now - begin >= kJoinPatience && join_.empty()) {
      throw Fatal({Fault::kFatal, "no answer from a supervisor at the control socket: is leat running there?",
                   kExitIo});
    }
    bool heard = poller.wait(std::chrono::duration_cast<milliseconds>(next_hello - now) + milliseconds{1});
    look_for_stop();
    if (std::string state = joining_at(join_); !heard && !join_.empty() && state != said) {
      say(state);
      tell_service_manager("STATUS=" + state);
      said = state;
    }
  }
  if (!refusal_.empty()) throw Fatal({Fault::kFatal, refusal_, kExitConfig});
  if (leaving_) return;
  if (!join_.empty()) take_place();
  auto parsed = config::parse_pipeline(welcome_.pipeline_text, welcome_.pipeline_file);
  if (!parsed.problems.empty()) {
    throw Fatal({Fault::kFatal, config::to_string(parsed.problems.front()), kExitConfig});
  }
  pipeline_ = std::move(parsed.pipeline);
  pipeline_id_ = proto::pipeline_id(pipeline_.name);
  (*page_)->epoch = welcome_.epoch;
  if (role_ == proto::Stage::kWriter) return;
  if (address_space_is_limited()) {
    // Each consumer maps the memory of each producer: where one cannot, batches would be lost again and again.
    if (role_ == proto::Stage::kReader) {
      warn(
          "the address space is limited (ulimit -v): batches are copied from process to process, which is "
          "slower");
    }
    return;
  }
  try {
    Buffer::use_arena(make_arena());
  } catch (const std::system_error& error) {
    // Slower, not wrong: the payloads travel inside the messages.
    warn(fmt::format("leat-{}: {}; going on without it", proto::to_string(role_), error.what()));
  }
}

// As many slots as this worker may have under way; what exceeds them travels inside its message.
std::shared_ptr<proto::Arena> Worker::make_arena() const {
  constexpr std::uint32_t kReadAhead = 8;  // in the reader's queue and in the making
  constexpr std::uint32_t kMadeHere = 8;   // owed by the next stage, or waiting for their turn in the writer
  constexpr std::uint32_t kPool = 16;      // that may come while it runs; memory is taken when a slot is used
  std::uint32_t slots =
      role_ == proto::Stage::kReader
          ? welcome_.window_batches + kReadAhead
          : kMadeHere + 2 * std::max(kPool, static_cast<std::uint32_t>(welcome_.outputs.size()));
  // Room for the table of short records, and for records that steps made longer.
  std::uint64_t slot_bytes = pipeline_.limits.batch_bytes * 3 / 2 + 8 * config::kKiB;
  return proto::Arena::create(std::min(slots, proto::Arena::kMaxSlots), slot_bytes);
}

std::uint64_t Worker::max_message_bytes() const {
  // A grant, which is a quarter more than one record's results at the most, for records and rejects, and once more for the
  // table; the reader's batches may be twice their target.
  return 4 * (config::max_result_bytes(pipeline_) + pipeline_.limits.batch_bytes) + 64 * config::kKiB;
}

// The name under which it is known from now on is the supervisor's to give.
void Worker::take_place() {
  index_ = welcome_.index;
  instance_ = welcome_.instance;
  page_.emplace(MappedPage::create(page_path(welcome_.runtime, role_, index_, instance_)));
  supervisor_ = Fd(static_cast<int>(::syscall(SYS_pidfd_open, static_cast<pid_t>(welcome_.supervisor), 0U)));
  if (!supervisor_) leave(true);  // it has gone already
}

void Worker::add_to(proto::Poller& poller) {
  poller.add(control_);
  poller.add(signals_.get());
  if (supervisor_) poller.add(supervisor_.get());
}

void Worker::leave(bool again) {
  leaving_ = true;
  again_ = again && !asked_to_leave_;
}

// Told to go by a person or systemd. One that joined asks its supervisor first, so that nothing is dealt to it any more;
// the second signal is meant.
void Worker::on_signal() {
  if (join_.empty() || asked_to_leave_ || !page_) return leave(false);
  asked_to_leave_ = true;
  say("leaving as soon as it owes nothing (again to leave at once)");
  tell_service_manager("STOPPING=1\nSTATUS=leaving as soon as it owes nothing");
  send(proto::Report{proto::ReportKind::kLeave, 0, {}, {}, false});
}

void Worker::say(const std::string& text) const {
  fmt::print(stderr, "leat-{}: {}\n", proto::to_string(role_), config::printable(text));
}

void Worker::look_for_stop() {
  looked_ns_ = monotonic_ns();
  signalfd_siginfo info{};
  while (::read(signals_.get(), &info, sizeof(info)) == sizeof(info)) on_signal();
  while (auto message = control_.try_receive()) {
    auto control = proto::decode_control(message->view());
    if (control) {
      take_in(*control);
    } else {
      say(control.error().text);
    }
  }
  if (!supervisor_ || leaving_) return;
  pollfd gone{supervisor_.get(), POLLIN, 0};
  if (::poll(&gone, 1, 0) == 1) leave(true);
}

void Worker::take_in(const proto::Control& control) {
  if (const auto* stop = std::get_if<proto::Stop>(&control)) {
    switch (stop->kind) {
      case proto::StopKind::kNow:
        leave(stop->again);
        break;
      case proto::StopKind::kFinish:
        if (!finishing_since_) finishing_since_ = std::chrono::steady_clock::now();
        break;
      case proto::StopKind::kDrain:
        draining_ = true;
        break;
    }
  } else if (const auto* welcome = std::get_if<proto::Welcome>(&control);
             welcome && welcome_.pipeline_text.empty()) {
    welcome_ = *welcome;
  } else if (const auto* refusal = std::get_if<proto::Refusal>(&control)) {
    refusal_ = refusal->text;
  } else if (on_news_) {
    on_news_(control);
  } else if (!welcome_.pipeline_text.empty()) {
    early_news_.push_back(control);
  }
}

void Worker::on_news(std::function<void(const proto::Control&)> on_news) {
  on_news_ = std::move(on_news);
  for (const auto& control : std::exchange(early_news_, {})) on_news_(control);
}

void Worker::send(const proto::Control& control) {
  proto::Message message = proto::encode(control);
  // The supervisor always receives; a full queue means that it has gone, and then nobody is there to be told.
  static_cast<void>(control_.try_send(message));
}

void Worker::ready(std::string details_json) {
  page_->enter(Activity::kIdle);
  if (!join_.empty()) {
    say(fmt::format("joined {} as processor {}", pipeline_.name, index_));
    tell_service_manager(fmt::format("READY=1\nSTATUS=processor {} of {}", index_, pipeline_.name));
  }
  send(proto::Report{proto::ReportKind::kReady, 0, {}, std::move(details_json), false});
}

void Worker::warn(const std::string& text) {
  send(proto::Report{proto::ReportKind::kWarning, 0, text, {}, false});
}

void Worker::done(std::string details_json) {
  send(proto::Report{proto::ReportKind::kDone, 0, {}, std::move(details_json), false});
}

bool Worker::finishing_is_late() const {
  return finishing_since_ && std::chrono::steady_clock::now() - *finishing_since_ >= kFinishBatch;
}

void Worker::finished() {
  if (std::exchange(finished_, true)) return;
  send(proto::Report{proto::ReportKind::kFinished, 0, {}, {}, false});
}

void Worker::wait_to_leave() {
  page_->enter(Activity::kIdle);
  proto::Poller poller;
  add_to(poller);
  while (!leaving_) {
    poller.wait(milliseconds(-1));
    look_for_stop();
  }
}

namespace {

// "reviews-5" is a worker of the pipeline "reviews".
std::string endpoint_of_unit(const std::string& unit, const std::string& runtime_dir) {
  std::size_t dash = unit.rfind('-');
  if (dash == 0 || dash == std::string::npos || unit.find('/') != std::string::npos) {
    throw CLI::ValidationError("--unit", fmt::format("'{}' is not PIPELINE-N, such as reviews-5", unit));
  }
  return fmt::format("ipc://{}/{}/control", runtime_dir, unit.substr(0, dash));
}

void add_joining(CLI::App& app, std::string& join, std::string& unit, std::string& runtime_dir,
                 CLI::Option* control) {
  auto* endpoint =
      app.add_option("--join", join, "join the pool of this supervisor (ipc:///run/leat/NAME/control)")
          ->excludes(control);
  app.add_option("--unit", unit, "PIPELINE-N: join the pool of that pipeline of leatd")
      ->excludes(control)
      ->excludes(endpoint);
  app.add_option("--runtime-dir", runtime_dir, "leatd's runtime folder, for --unit")->capture_default_str();
}

// A worker that joins again starts from nothing: everything that it knew was of a membership that is over.
[[noreturn]] void join_again(const std::string& name, char** argv) {
  ::execv("/proc/self/exe", argv);
  fmt::print(stderr, "{}: cannot start itself again: {}\n", name, std::system_category().message(errno));
  std::_Exit(kExitBug);
}

}  // namespace

int run_worker(proto::Stage role, int argc, char** argv,
               const std::function<int(const std::string&)>& inspect,
               const std::function<void(Worker&)>& work) {
  std::string name = fmt::format("leat-{}", proto::to_string(role));
  Worker::Arguments arguments;
  CLI::App app(
      fmt::format("{}: a worker of leat. It is started by `leat run` and joins its control socket.", name),
      name);
  app.set_version_flag("--version", LEAT_VERSION);
  auto* control = app.add_option("--control", arguments.control, "ZeroMQ endpoint of the supervisor");
  auto* runtime = app.add_option("--runtime", arguments.runtime_dir, "runtime folder of the run");
  control->needs(runtime);
  runtime->needs(control);
  std::string unit;
  std::string leatd_dir = "/run/leat";
  if (role == proto::Stage::kProcessor) add_joining(app, arguments.join, unit, leatd_dir, control);
  app.add_option("--index", arguments.index, "which worker of its stage, from 0")->check(CLI::Range(0, 1023));
  app.add_option("--instance", arguments.instance, "which worker of this run, from 1");
  if (inspect) {
    app.add_option(role == proto::Stage::kReader ? "--list" : "--describe", arguments.inspect,
                   "print as JSON what a pipeline file means for this stage, and exit")
        ->excludes(control);
  }
  try {
    app.parse(argc, argv);
    if (!unit.empty()) arguments.join = endpoint_of_unit(unit, leatd_dir);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? kExitOk : kExitUsage;
  }
  if (arguments.control.empty() && arguments.inspect.empty() && arguments.join.empty()) {
    std::fprintf(stderr,
                 "%s: --control and --runtime are needed; `leat run PIPELINE` starts workers by itself%s\n",
                 name.c_str(), role == proto::Stage::kProcessor ? ". --join ENDPOINT joins a pool" : "");
    return kExitUsage;
  }
  tune_malloc();
  std::unique_ptr<Worker> worker;
  Error error;
  try {
    if (!arguments.inspect.empty()) return inspect(arguments.inspect);
    worker.reset(new Worker(role, arguments));
    worker->join();
    if (!worker->leaving()) work(*worker);
    bool again = worker->again_;
    worker.reset();
    if (again) join_again(name, argv);
    return kExitOk;
  } catch (const Fatal& fatal) {
    if (fatal.error().exit_code == kExitStopped) return kExitOk;  // it was told to leave: not its failure
    error = fatal.error();
  } catch (const std::bad_alloc&) {
    error = {Fault::kFatal, "out of memory", kExitIo};
  } catch (const std::exception& exception) {
    error = {Fault::kFatal, exception.what(), kExitBug};
  }
  if (worker && worker->page_) {
    worker->send(proto::Report{
        proto::ReportKind::kFailed, error.exit_code, error.text, {}, error.fault == Fault::kRetry});
  }
  if (!worker || !worker->join_.empty()) {
    fmt::print(stderr, "{}: {}\n", name, config::printable(error.text));
  }
  return error.exit_code;
}

}  // namespace leat::stage
