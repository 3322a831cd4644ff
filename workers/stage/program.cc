#include "workers/stage/program.h"

#include <fmt/format.h>
#include <malloc.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <memory>
#include <system_error>

#include "proto/base/text.h"

namespace leat::stage {

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

// In words: for `leat explain --sandbox`.
int show_sandbox(const Program& program, const Briefing& briefing) {
  for (const auto& line : describe(program.confinement(briefing.pipeline, briefing.surroundings)))
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
    const bool rejoin = worker->rejoin_;
    worker.reset();
    return rejoin ? kJoinAgain : int{kExitOk};
  } catch (const Fatal& fatal) {
    if (fatal.error().exit_code == kExitStopped) return kExitOk;  // it was asked to leave: not its failure
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
    fmt::print(stderr, "{}: {}\n", name, printable(error.text));
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
  app.add_flag("--show-sandbox", arguments.show_sandbox,
               "print what this worker may do, a line each, and exit");
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
    app.add_flag(
           role == proto::Stage::kReader ? "--list" : "--describe", arguments.inspect,
           "print as JSON what the pipeline means for this stage, and exit (`leat explain` has it on stdin)")
        ->excludes(control);
  }
  try {
    app.parse(argc, argv);
    if (!unit.empty()) arguments.join = endpoint_of_unit(unit, leatd_dir);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? kExitOk : kExitUsage;
  }
  if (arguments.control.empty() && !arguments.inspect && arguments.join.empty() && !arguments.show_sandbox) {
    std::fprintf(stderr,
                 "%s: --control and --runtime are needed; `leat run PIPELINE` starts workers by itself%s\n",
                 name.c_str(), role == proto::Stage::kProcessor ? ". --join ENDPOINT joins a pool" : "");
    return kExitUsage;
  }
  try {
    if (arguments.show_sandbox || arguments.inspect) {
      const Briefing briefing = value_or_fatal(read_briefing(STDIN_FILENO)).briefing;
      return arguments.inspect ? inspect(briefing.pipeline) : show_sandbox(program, briefing);
    }
  } catch (const Fatal& fatal) {
    fmt::print(stderr, "{}: {}\n", name, printable(fatal.what()));
    return fatal.error().exit_code;
  } catch (const std::exception& exception) {
    fmt::print(stderr, "{}: {}\n", name, printable(exception.what()));
    return kExitBug;
  }
  // Batches are allocated and freed by two threads: on one heap they reuse warm pages.
  ::mallopt(M_ARENA_MAX, 1);
  auto membership = [&] { return take_part(program, arguments); };
  return arguments.join.empty() ? membership() : keep_joining(name, membership);
}

}  // namespace leat::stage
