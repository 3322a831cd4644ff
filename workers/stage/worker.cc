#include "workers/stage/worker.h"

#include <fmt/format.h>
#include <malloc.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <csignal>
#include <cstdio>
#include <system_error>
#include <utility>

#include "config/parse.h"

namespace leat::stage {

namespace {

using std::chrono::milliseconds;

constexpr int kControlHighWaterMark = 64;
constexpr milliseconds kJoinPatience{30'000};

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

}  // namespace

Worker::Worker(proto::Stage role, const Arguments& arguments)
    : role_(role),
      index_(arguments.index),
      instance_(arguments.instance),
      page_(MappedPage::create(fmt::format("{}/{}-{}.{}.page", arguments.runtime_dir, proto::to_string(role),
                                           arguments.index, arguments.instance))),
      signals_(open_signals()),
      context_(1),
      control_(context_, proto::SocketKind::kDealer, kControlHighWaterMark, proto::kMaxControlBytes) {
  control_.set_routing_id(
      fmt::format("{}-{}.{}", proto::to_string(role), arguments.index, arguments.instance));
  control_.connect(arguments.control);
}

void Worker::join(milliseconds patience) {
  send(proto::Hello{role_, index_, instance_, ::getpid(), LEAT_VERSION});
  proto::Poller poller;
  add_to(poller);
  auto deadline = std::chrono::steady_clock::now() + patience;
  while (welcome_.pipeline_text.empty() && !leaving_) {
    auto left = std::chrono::duration_cast<milliseconds>(deadline - std::chrono::steady_clock::now());
    if (left.count() <= 0) {
      throw Fatal({Fault::kFatal, "no answer from a supervisor at the control socket: is leat running there?",
                   kExitIo});
    }
    poller.wait(left);
    look_for_stop();
  }
  if (leaving_) return;
  auto parsed = config::parse_pipeline(welcome_.pipeline_text, welcome_.pipeline_file);
  if (!parsed.problems.empty()) {
    throw Fatal({Fault::kFatal, config::to_string(parsed.problems.front()), kExitConfig});
  }
  pipeline_ = std::move(parsed.pipeline);
  pipeline_id_ = proto::pipeline_id(pipeline_.name);
  page_->epoch = welcome_.epoch;
  if (role_ == proto::Stage::kWriter) return;
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
  std::uint32_t slots = role_ == proto::Stage::kReader
                            ? welcome_.window_batches + kReadAhead
                            : kMadeHere + 2 * static_cast<std::uint32_t>(welcome_.outputs.size());
  // Room for the table of short records, and for records that steps made longer.
  std::uint64_t slot_bytes = pipeline_.limits.batch_bytes * 3 / 2 + 8 * config::kKiB;
  return proto::Arena::create(std::min(slots, proto::Arena::kMaxSlots), slot_bytes);
}

std::uint64_t Worker::max_message_bytes() const {
  // A step may grow a record (set, an exec child); eight times is the cap on its answers.
  return 8 * (pipeline_.source.max_record_bytes + pipeline_.limits.batch_bytes) + 64 * config::kKiB;
}

void Worker::add_to(proto::Poller& poller) {
  poller.add(control_);
  poller.add(signals_.get());
}

void Worker::look_for_stop() {
  signalfd_siginfo info{};
  while (::read(signals_.get(), &info, sizeof(info)) == sizeof(info)) leaving_ = true;
  while (auto message = control_.try_receive()) {
    auto control = proto::decode_control(message->view());
    if (!control) {
      std::fprintf(stderr, "leat-%s: %s\n", proto::to_string(role_).data(), control.error().text.c_str());
    } else if (auto* stop = std::get_if<proto::Stop>(&*control)) {
      (stop->drain ? draining_ : leaving_) = true;
    } else if (auto* welcome = std::get_if<proto::Welcome>(&*control);
               welcome && welcome_.pipeline_text.empty()) {
      welcome_ = std::move(*welcome);
    } else if (on_news_) {
      on_news_(*control);
    }
  }
}

void Worker::send(const proto::Control& control) {
  proto::Message message = proto::encode(control);
  // The supervisor always receives; a full queue means that it has gone, and then nobody is there to be told.
  static_cast<void>(control_.try_send(message));
}

void Worker::ready(std::string details_json) {
  page_.enter(Activity::kIdle);
  send(proto::Report{proto::ReportKind::kReady, 0, {}, std::move(details_json), false});
}

void Worker::warn(const std::string& text) {
  send(proto::Report{proto::ReportKind::kWarning, 0, text, {}, false});
}

void Worker::done(std::string details_json) {
  send(proto::Report{proto::ReportKind::kDone, 0, {}, std::move(details_json), false});
}

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
  app.add_option("--index", arguments.index, "which worker of its stage, from 0")->check(CLI::Range(0, 1023));
  app.add_option("--instance", arguments.instance, "which worker of this run, from 1");
  if (inspect) {
    app.add_option(role == proto::Stage::kReader ? "--list" : "--describe", arguments.inspect,
                   "print as JSON what a pipeline file means for this stage, and exit")
        ->excludes(control);
  }
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? kExitOk : kExitUsage;
  }
  if (arguments.control.empty() && arguments.inspect.empty()) {
    std::fprintf(stderr,
                 "%s: --control and --runtime are needed; `leat run PIPELINE` starts workers by itself\n",
                 name.c_str());
    return kExitUsage;
  }
  tune_malloc();
  std::unique_ptr<Worker> worker;
  Error error;
  try {
    if (!arguments.inspect.empty()) return inspect(arguments.inspect);
    worker.reset(new Worker(role, arguments));
    worker->join(kJoinPatience);
    if (!worker->leaving()) work(*worker);
    return kExitOk;
  } catch (const Fatal& fatal) {
    if (fatal.error().exit_code == kExitStopped) return kExitOk;  // it was told to leave: not its failure
    error = fatal.error();
  } catch (const std::bad_alloc&) {
    error = {Fault::kFatal, "out of memory", kExitIo};
  } catch (const std::exception& exception) {
    error = {Fault::kFatal, exception.what(), kExitBug};
  }
  if (worker) {
    worker->send(proto::Report{
        proto::ReportKind::kFailed, error.exit_code, error.text, {}, error.fault == Fault::kRetry});
  } else {
    std::fprintf(stderr, "%s: %s\n", name.c_str(), error.text.c_str());
  }
  return error.exit_code;
}

}  // namespace leat::stage
