// Two forks: the keeper, and the program as its child. A worker has other threads (ZeroMQ's), therefore only
// async-signal-safe calls stand between fork and exec, and everything they need is made before. What happened comes
// back through a close-on-exec pipe: the program's number, and, if exec failed, why; end of file there means that it
// runs.
#include "workers/processor/child.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/close_range.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <optional>
#include <utility>
#include <vector>

#include "workers/processor/exec_sandbox.h"
#include "workers/processor/keeper.h"

namespace leat::processor {
namespace {

constexpr int kPipeBytes = 256 * 1024;  // under the usual limit of a pipe (1 MiB) and of a user (64 MiB)

constexpr int kLandlockWithSignals = 6;

struct Report {
  enum What : int { kStarted, kNoFork, kNoTemp, kNoFolder, kNoSandbox, kNoCommand };
  What what;
  int number;  // kStarted: the program's process number; else an errno
};

struct Pipe {
  Fd read;
  Fd write;
  bool open(int flags = O_CLOEXEC) {
    int ends[2];
    if (::pipe2(ends, flags) != 0) return false;
    read = Fd(ends[0]);
    write = Fd(ends[1]);
    return true;
  }
};

// Everything that the two processes need; made before fork.
struct Plan {
  std::vector<char*> command;
  std::vector<char*> environment;
  const char* folder;
  const char* temp;
  std::uint64_t memory_bytes;
  int processes;
  stage::Sandbox* sandbox;  // nullptr: LEAT_SANDBOX=off
  bool asks_for_signals;
  Pipe in, out, messages, report, alive;
  Fd program_end, keeper_end;  // a pair of sockets: the program gives its keeper the listener

  void send_report(Report::What what, int number) const {
    const Report text{what, number};
    [[maybe_unused]] const ssize_t written = ::write(report.write.get(), &text, sizeof text);
  }
};

// 0, or an errno.
int confine(const Plan& plan) {
  if (plan.memory_bytes > 0) {
    const rlimit limit{plan.memory_bytes, plan.memory_bytes};
    if (::setrlimit(RLIMIT_DATA, &limit) != 0) return errno;
  }
  int listener = -1;
  if (plan.sandbox != nullptr) {
    if (const int error = plan.sandbox->enter(); error != 0) return error;
    listener = ask_keeper(plan.asks_for_signals);
  }
  send_descriptor(plan.program_end.get(), listener);
  return 0;
}

// The program, between fork and exec.
[[noreturn]] void become(const Plan& plan, pid_t keeper) {
  ::setsid();
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (::getppid() != keeper) ::_exit(127);  // it died before the line above
  for (int signal_number = 1; signal_number < NSIG; ++signal_number) ::signal(signal_number, SIG_DFL);
  sigset_t none;
  sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  // Should ours be 0 or 1 (a parent without stdin), dup2 onto them in the right order needs them out of the
  // way.
  const int in = ::fcntl(plan.in.read.get(), F_DUPFD_CLOEXEC, 3);
  const int out = ::fcntl(plan.out.write.get(), F_DUPFD_CLOEXEC, 3);
  const int messages = ::fcntl(plan.messages.write.get(), F_DUPFD_CLOEXEC, 3);
  if (::dup2(in, 0) < 0 || ::dup2(out, 1) < 0 || ::dup2(messages, 2) < 0 ||
      (plan.folder[0] != '\0' && ::chdir(plan.folder) != 0)) {
    plan.send_report(Report::kNoFolder, errno);
    ::_exit(127);
  }
  if (const int error = confine(plan); error != 0) {
    plan.send_report(Report::kNoSandbox, error);
    ::_exit(127);
  }
  ::close_range(3, ~0U, CLOSE_RANGE_CLOEXEC);
  environ = const_cast<char**>(plan.environment.data());
  ::execvp(plan.command[0], plan.command.data());
  plan.send_report(Report::kNoCommand, errno);
  ::_exit(127);
}

[[noreturn]] void become_keeper(Plan& plan) {
  ::setsid();  // whoever kills the group of the processor does not kill its keeper
  ::prctl(PR_SET_CHILD_SUBREAPER, 1);
  // Here and not before the fork: whatever kills the processor, it is the keeper's to remove.
  if (::mkdir(plan.temp, 0700) != 0) {
    plan.send_report(Report::kNoTemp, errno);
    ::_exit(127);
  }
  if (plan.sandbox != nullptr) {
    const int folder = ::open(plan.temp, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    plan.sandbox->allow(folder, stage::kChange);
    ::close(folder);
  }
  const pid_t self = ::getpid();
  const pid_t program = ::fork();
  if (program == 0) become(plan, self);
  if (program < 0) {
    plan.send_report(Report::kNoFork, errno);
    ::rmdir(plan.temp);
    ::_exit(127);
  }
  plan.send_report(Report::kStarted, program);
  plan.report.write.reset();
  plan.program_end.reset();
  const int listener = receive_descriptor(plan.keeper_end.get());
  keep({program, plan.alive.read.get(), listener, plan.processes, plan.messages.read.get(), plan.temp});
}

std::string describe(int status) {
  if (WIFSIGNALED(status)) {
    const char* name = sigabbrev_np(WTERMSIG(status));
    return name != nullptr ? fmt::format("killed by signal {} (SIG{})", WTERMSIG(status), name)
                           : fmt::format("killed by signal {}", WTERMSIG(status));
  }
  return fmt::format("exited with {}", WEXITSTATUS(status));
}

int wait_for(pid_t pid) {
  int status = 0;
  while (::waitpid(pid, &status, 0) < 0 && errno == EINTR) {
  }
  return status;
}

std::vector<char*> pointers(const std::vector<std::string>& texts) {
  std::vector<char*> all;
  all.reserve(texts.size() + 1);
  for (const std::string& text : texts) all.push_back(const_cast<char*>(text.c_str()));
  all.push_back(nullptr);
  return all;
}

Error cannot(const config::Step& step, Fault fault, const std::string& what, int error) {
  return {fault, fmt::format("exec {}: {}: {}", step.command[0], what, std::strerror(error)),
          fault == Fault::kFatal ? kExitConfig : kExitIo};
}

// Reads all that the two have to say: until the program runs, or has failed to. 0: not even started.
std::pair<pid_t, std::optional<Report>> listen(int report) {
  pid_t program = 0;
  std::optional<Report> failure;
  for (;;) {
    Report said{};
    const ssize_t got = ::read(report, &said, sizeof said);
    if (got < 0 && errno == EINTR) continue;
    if (got != static_cast<ssize_t>(sizeof said)) return {program, failure};
    if (said.what == Report::kStarted) {
      program = said.number;
    } else {
      failure = said;
    }
  }
}

Error failed(const config::Step& step, const std::string& folder, const Report& report) {
  switch (report.what) {
    case Report::kNoTemp:
      return cannot(step, Fault::kRetry, fmt::format("cannot make a folder in {}", temp_root()),
                    report.number);
    case Report::kNoFolder:
      return cannot(step, Fault::kFatal, "cannot enter the folder " + folder, report.number);
    case Report::kNoSandbox:
      return cannot(step, Fault::kFatal, "cannot confine it (LEAT_SANDBOX=off runs it unconfined)",
                    report.number);
    case Report::kNoCommand:
      return cannot(step, Fault::kFatal, "cannot run the command " + step.command[0], report.number);
    default:
      return cannot(step, Fault::kRetry, "cannot start a process", report.number);
  }
}

}  // namespace

Result<std::unique_ptr<Child>> Child::start(const config::Step& step, const std::string& working_dir) {
  for (const std::string& path : step.write) {
    if (::access(path.c_str(), F_OK) != 0)
      return tl::unexpected(cannot(step, Fault::kFatal, fmt::format("write: {}", path), errno));
  }
  std::uint64_t nonce = 0;
  if (::getrandom(&nonce, sizeof nonce, 0) != static_cast<ssize_t>(sizeof nonce))
    return tl::unexpected(cannot(step, Fault::kRetry, "getrandom", errno));
  const std::string temp = fmt::format("{}/leat-exec-{:016x}", temp_root(), nonce);

  std::optional<stage::Sandbox> sandbox;
  if (!stage::sandbox_is_off()) {
    auto prepared = stage::Sandbox::prepare(policy_of(step, temp));
    if (!prepared) return tl::unexpected(prepared.error());
    sandbox = *std::move(prepared);
  }
  const std::vector<std::string> environment = environment_of(step, temp);
  Plan plan{.command = pointers(step.command),
            .environment = pointers(environment),
            .folder = working_dir.c_str(),
            .temp = temp.c_str(),
            .memory_bytes = step.memory_bytes,
            .processes = step.processes,
            .sandbox = sandbox ? &*sandbox : nullptr,
            .asks_for_signals = stage::landlock_abi() < kLandlockWithSignals,
            .in = {},
            .out = {},
            .messages = {},
            .report = {},
            .alive = {},
            .program_end = {},
            .keeper_end = {}};
  int ends[2];
  if (!plan.in.open() || !plan.out.open() || !plan.messages.open() || !plan.report.open() ||
      !plan.alive.open() || ::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0)
    return tl::unexpected(cannot(step, Fault::kRetry, "cannot open a pipe", errno));
  plan.program_end = Fd(ends[0]);
  plan.keeper_end = Fd(ends[1]);

  const pid_t keeper = ::fork();
  if (keeper < 0) return tl::unexpected(cannot(step, Fault::kRetry, "cannot start a process", errno));
  if (keeper == 0) {
    plan.alive.write.reset();
    become_keeper(plan);
  }
  std::unique_ptr<Child> child(new Child);
  child->keeper_ = keeper;
  child->alive_ = std::move(plan.alive.write);
  child->in_ = std::move(plan.in.write);
  child->out_ = std::move(plan.out.read);
  for (Fd* theirs : {&plan.messages.write, &plan.messages.read, &plan.report.write, &plan.program_end,
                     &plan.keeper_end, &plan.alive.read})
    theirs->reset();
  const auto [program, failure] = listen(plan.report.read.get());
  if (failure) return tl::unexpected(failed(step, working_dir, *failure));
  if (program == 0) return tl::unexpected(cannot(step, Fault::kRetry, "its keeper died", ECHILD));
  child->pid_ = program;
  for (int fd : {child->in(), child->out()}) {
    ::fcntl(fd, F_SETFL, ::fcntl(fd, F_GETFL) | O_NONBLOCK);
    ::fcntl(fd, F_SETPIPE_SZ, kPipeBytes);  // may be refused: then it is slower
  }
  return child;
}

Child::~Child() {
  if (keeper_ > 0) end(std::chrono::milliseconds(0));
}

std::string Child::end(std::chrono::milliseconds grace) {
  LEAT_CHECK(keeper_ > 1, "end() was called before");
  bool exited = false;
  if (grace.count() > 0) {  // else it is killed before it can complain of a broken pipe
    in_.reset();
    out_.reset();
    const Fd pidfd(static_cast<int>(::syscall(SYS_pidfd_open, keeper_, 0)));
    pollfd wait{pidfd.get(), POLLIN, 0};
    exited = pidfd && ::poll(&wait, 1, static_cast<int>(grace.count())) > 0;
  }
  alive_.reset();
  const int status = wait_for(std::exchange(keeper_, -1));
  pid_ = -1;
  in_.reset();
  out_.reset();
  return exited ? describe(status) : std::string();
}

}  // namespace leat::processor
