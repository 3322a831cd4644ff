#include "workers/stage/worker.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <malloc.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
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
#include "proto/descriptors.h"
#include "workers/stage/limits.h"
#include "workers/stage/service.h"

namespace leat::stage {

namespace {

using std::chrono::milliseconds;

constexpr int kControlHighWaterMark = 64;
constexpr milliseconds kJoinPatience{30'000};
constexpr milliseconds kHelloAgain{2'000};
// A batch is made to take about 100 ms.
constexpr milliseconds kFinishBatch{300};
constexpr milliseconds kAnnounceAgain{100};

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

std::string path_of(const std::string& endpoint) {
  constexpr std::string_view kIpc = "ipc://";
  return endpoint.starts_with(kIpc) ? endpoint.substr(kIpc.size()) : endpoint;
}

// Why nobody answers there, as far as it can be seen from here.
std::string joining_at(const std::string& endpoint) {
  std::string path = path_of(endpoint);
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
      control_endpoint_(arguments.join.empty() ? arguments.control : arguments.join),
      join_(arguments.join),
      signals_(open_signals()),
      context_(1) {
  if (join_.empty()) {
    page_.emplace(MappedPage::create(page_path(arguments.runtime_dir, role, index_, instance_)));
    descriptors_ = arguments.runtime_dir + "/descriptors";
    return;
  }
  if (::getrandom(&number_, sizeof number_, 0) != static_cast<ssize_t>(sizeof number_)) {
    throw std::system_error(errno, std::generic_category(), "getrandom");
  }
  const std::string control = path_of(join_);
  descriptors_ = control.substr(0, control.rfind('/') + 1) + "descriptors";
}

// What it is for, and with that what it may do: known and done before there are sockets and threads.
void Worker::learn(const Confinement& confinement) {
  if (!join_.empty()) {
    wait_for_supervisor();
    if (leaving_) return;
  } else {
    auto client = value_or_fatal(proto::DescriptorClient::connect(descriptors_));
    take_briefing(value_or_fatal(client.briefing()));
  }
  confine_by(confinement);
  connect();
}

void Worker::wait_for_supervisor() {
  std::string said;
  while (!leaving_ && !announce()) {
    if (std::string state = joining_at(join_); state != said) {
      say(state);
      tell_service_manager("STATUS=" + state);
      said = state;
    }
    pollfd signals{signals_.get(), POLLIN, 0};
    ::poll(&signals, 1, static_cast<int>(kAnnounceAgain.count()));
    look_for_stop();
  }
}

// A process number means nothing in another PID namespace, so the supervisor gets a pidfd of the one that is about to join,
// which gets one of the supervisor. False: no supervisor is there.
bool Worker::announce() {
  auto client = proto::DescriptorClient::connect(descriptors_);
  if (!client) return false;
  const Fd self(static_cast<int>(::syscall(SYS_pidfd_open, ::getpid(), 0U)));
  const Fd memory(::open("/proc/self/smaps_rollup", O_RDONLY | O_CLOEXEC));
  if (!self) return false;
  auto joined = client->join(number_, self.get(), memory.get());
  if (!joined) return false;
  supervisor_ = std::move(joined->supervisor);
  take_briefing(joined->briefing);
  return true;
}

void Worker::take_briefing(const Fd& file) {
  struct stat found {};
  if (::fstat(file.get(), &found) != 0 || found.st_size <= 0 ||
      found.st_size > static_cast<off_t>(proto::kMaxControlBytes)) {
    throw Fatal({Fault::kFatal, "the supervisor has sent a briefing of no size", kExitBug});
  }
  std::string bytes(static_cast<std::size_t>(found.st_size), '\0');
  bool whole = ::pread(file.get(), bytes.data(), bytes.size(), 0) == found.st_size;
  auto control = proto::decode_control(bytes);
  const auto* briefing = control ? std::get_if<proto::Welcome>(&*control) : nullptr;
  if (!whole || briefing == nullptr) {
    throw Fatal({Fault::kFatal, "the supervisor has sent a briefing that cannot be read", kExitBug});
  }
  // It has confined itself for the one that it knows.
  if (!briefing_.pipeline_text.empty() && briefing_.pipeline_text != briefing->pipeline_text) leave(true);
  briefing_ = *briefing;
}

void Worker::confine_by(const Confinement& confinement) {
  auto parsed = config::parse_pipeline(briefing_.pipeline_text, briefing_.pipeline_file);
  if (!parsed.problems.empty()) {
    failure_ = {Fault::kFatal, config::to_string(parsed.problems.front()), kExitConfig};
    return;
  }
  pipeline_ = std::move(parsed.pipeline);
  // One that the supervisor has started inherits what is needed; one that joins has the limit of its unit or shell.
  if (auto allowed = allow_descriptors(descriptors_for(pipeline_)); !allowed) throw Fatal(allowed.error());
  if (auto confined = confine(confinement(pipeline_, surroundings())); !confined) failure_ = confined.error();
}

void Worker::connect() {
  if (auto allowed = allow_tasks(kTasksOfSockets); !allowed) throw Fatal(allowed.error());
  control_.emplace(context_, proto::SocketKind::kDealer, kControlHighWaterMark, proto::kMaxControlBytes);
  control_->set_routing_id(join_.empty() ? fmt::format("{}-{}.{}", proto::to_string(role_), index_, instance_)
                                         : fmt::format("join-{:x}", number_));
  control_->connect(control_endpoint_);
}

// One that was started by the supervisor is expected there. One that joins waits for as long as it takes, and asks again:
// the supervisor that it asked may have gone without a word.
void Worker::join() {
  using Clock = std::chrono::steady_clock;
  proto::Poller poller;
  add_to(poller);
  auto begin = Clock::now();
  auto next_hello = begin;
  bool said_hello = false;  // the first announcement was made in learn()
  std::string said;
  while (welcome_.pipeline_text.empty() && !leaving_ && refusal_.empty()) {
    auto now = Clock::now();
    if (now >= next_hello && said_hello && !join_.empty() && !announce()) {
      next_hello = now + kAnnounceAgain;
    } else if (now >= next_hello) {
      said_hello = true;
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
  if (failure_) throw Fatal(*failure_);
  if (welcome_.pipeline_text != briefing_.pipeline_text) return leave(true);
  pipeline_id_ = proto::pipeline_id(pipeline_.name);
  (*page_)->epoch = welcome_.epoch;
  share_memory();
}

// Without it all is slower, not wrong: payloads travel inside the messages, and what comes in another's memory is refused
// and sent again.
void Worker::share_memory() {
  auto warn_of = [this](std::string_view why) {
    warn(fmt::format("leat-{}: {}; going on without it", proto::to_string(role_), why));
  };
  auto connected = proto::DescriptorClient::connect(descriptors_);
  if (!connected) return warn_of(connected.error().text);
  auto client = std::make_shared<proto::DescriptorClient>(*std::move(connected));
  proto::Batch::find_arenas([client](proto::ArenaId id) { return client->ask(id); });
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
    auto arena = make_arena();
    auto offered = client->offer(arena->id(), arena->memory());
    if (!offered) return warn_of(offered.error().text);
    Buffer::use_arena(std::move(arena));
  } catch (const std::system_error& error) {
    warn_of(error.what());
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
}

void Worker::add_to(proto::Poller& poller) {
  poller.add(*control_);
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
  while (auto message = control_ ? control_->try_receive() : std::nullopt) {
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
  if (!control_) return;
  proto::Message message = proto::encode(control);
  // The supervisor always receives; a full queue means that it has gone, and then nobody is there to be told.
  static_cast<void>(control_->try_send(message));
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

// In words: for `leat explain --sandbox`, which gives no state folder when the sink is a pipe or a device.
int show_sandbox(const Program& program, const Arguments& arguments) {
  auto parsed = config::load_pipeline(arguments.show_sandbox);
  if (!parsed.problems.empty()) {
    throw Fatal({Fault::kFatal, config::to_string(parsed.problems.front()), kExitConfig});
  }
  const bool is_volatile = arguments.state.empty();
  const Surroundings surroundings{arguments.runtime_dir,
                                  is_volatile ? arguments.runtime_dir : arguments.state, is_volatile};
  for (const auto& line : describe(program.confinement(parsed.pipeline, surroundings)))
    fmt::print("{}\n", line);
  return kExitOk;
}

constexpr int kJoinAgain = 100;  // an exit code of a membership, for keep_joining() alone

// One that joins again starts from nothing: what it knew was of a membership that is over, and the rights that it has given up
// do not come back. So each membership is a process of its own, below one that only waits and passes signals on.
int keep_joining(const std::string& name, const std::function<int()>& membership) {
  sigset_t mask;
  sigset_t before;
  sigemptyset(&mask);
  for (int signal : {SIGTERM, SIGINT, SIGHUP, SIGCHLD}) sigaddset(&mask, signal);
  ::sigprocmask(SIG_BLOCK, &mask, &before);
  const pid_t parent = ::getpid();
  for (;;) {
    const pid_t child = ::fork();
    if (child < 0) {
      fmt::print(stderr, "{}: cannot start a process: {}\n", name, std::system_category().message(errno));
      return kExitIo;
    }
    if (child == 0) {
      ::setpgid(0, 0);  // a Ctrl-C comes once, from above
      ::prctl(PR_SET_PDEATHSIG, SIGKILL);
      if (::getppid() != parent) ::_exit(kExitBug);
      ::sigprocmask(SIG_SETMASK, &before, nullptr);
      return membership();
    }
    int status = 0;
    while (::waitpid(child, &status, WNOHANG) != child) {
      const int signal = ::sigwaitinfo(&mask, nullptr);
      if (signal > 0 && signal != SIGCHLD) ::kill(child, signal);
    }
    if (WIFSIGNALED(status)) {
      // It ends likewise, so that systemd and shells see what it was. The core was the membership's.
      fmt::print(stderr, "{}: killed by signal {}\n", name, WTERMSIG(status));
      ::prctl(PR_SET_DUMPABLE, 0);
      ::signal(WTERMSIG(status), SIG_DFL);
      ::sigprocmask(SIG_SETMASK, &before, nullptr);
      ::raise(WTERMSIG(status));
      return 128 + WTERMSIG(status);  // PID 1, which no signal ends
    }
    if (WEXITSTATUS(status) != kJoinAgain) return WEXITSTATUS(status);
  }
}

}  // namespace

int take_part(const Program& program, const Arguments& arguments) {
  const std::string name = fmt::format("leat-{}", proto::to_string(program.role));
  std::unique_ptr<Worker> worker;
  Error error;
  try {
    worker.reset(new Worker(program.role, arguments));
    worker->learn(program.confinement);
    if (!worker->leaving()) worker->join();
    if (!worker->leaving()) program.work(*worker);
    const bool again = worker->again_;
    worker.reset();
    return again ? kJoinAgain : int{kExitOk};
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
  if (!worker || !worker->control_ || !worker->join_.empty()) {
    fmt::print(stderr, "{}: {}\n", name, config::printable(error.text));
  }
  return error.exit_code;
}

int run_worker(const Program& program, int argc, char** argv) {
  const proto::Stage role = program.role;
  const auto& inspect = program.inspect;
  const std::string name = fmt::format("leat-{}", proto::to_string(role));
  Arguments arguments;
  CLI::App app(
      fmt::format("{}: a worker of leat. It is started by `leat run` and joins its control socket.", name),
      name);
  app.set_version_flag("--version", LEAT_VERSION);
  app.add_option("--show-sandbox", arguments.show_sandbox,
                 "print what this worker may do for a pipeline file, a line each, and exit");
  app.add_option("--state", arguments.state, "state folder, for --show-sandbox");
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
  if (arguments.control.empty() && arguments.inspect.empty() && arguments.join.empty() &&
      arguments.show_sandbox.empty()) {
    std::fprintf(stderr,
                 "%s: --control and --runtime are needed; `leat run PIPELINE` starts workers by itself%s\n",
                 name.c_str(), role == proto::Stage::kProcessor ? ". --join ENDPOINT joins a pool" : "");
    return kExitUsage;
  }
  try {
    if (!arguments.show_sandbox.empty()) return show_sandbox(program, arguments);
    if (!arguments.inspect.empty()) return inspect(arguments.inspect);
  } catch (const Fatal& fatal) {
    fmt::print(stderr, "{}: {}\n", name, config::printable(fatal.what()));
    return fatal.error().exit_code;
  } catch (const std::exception& exception) {
    fmt::print(stderr, "{}: {}\n", name, config::printable(exception.what()));
    return kExitBug;
  }
  tune_malloc();
  auto membership = [&] { return take_part(program, arguments); };
  return arguments.join.empty() ? membership() : keep_joining(name, membership);
}

}  // namespace leat::stage
