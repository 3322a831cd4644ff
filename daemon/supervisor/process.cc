#include "daemon/supervisor/process.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <charconv>
#include <csignal>
#include <cstring>
#include <fstream>
#include <string_view>
#include <system_error>

#include "proto/base/files.h"
#include "proto/base/process.h"

namespace leat::supervisor {

namespace {

[[noreturn]] void throw_errno(const std::string& what) {
  throw std::system_error(errno, std::generic_category(), what);
}

std::pair<Fd, Fd> make_pipe() {
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) throw_errno("pipe");
  return {Fd(ends[0]), Fd(ends[1])};
}

// What the child is given; made before fork, as the child may only make system calls.
struct Plan {
  const char* program;
  char* const* arguments;
  char* const* environment;
  pid_t parent;
  int out;  // becomes stdout; -1: inherit
  int err;  // becomes stderr; -1: inherit
  int in;
  int report;  // errno goes here when exec fails
};

[[noreturn]] void become(const Plan& plan) {
  ::setpgid(0, 0);
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  // The parent died before prctl: the signal will not come.
  if (::getppid() != plan.parent) ::_exit(kExitBug);
  sigset_t none;
  ::sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  ::signal(SIGPIPE, SIG_DFL);
  ::dup2(plan.in, STDIN_FILENO);
  if (plan.out >= 0) ::dup2(plan.out, STDOUT_FILENO);
  if (plan.err >= 0) ::dup2(plan.err, STDERR_FILENO);
  ::execve(plan.program, plan.arguments, plan.environment);
  int error = errno;
  static_cast<void>(::write(plan.report, &error, sizeof error) == 0);
  ::_exit(127);
}

// Ours but for what a service manager has told us about ourselves: a worker is not what it watches.
std::vector<char*> environment_for_children() {
  std::vector<char*> kept;
  for (char** variable = environ; *variable != nullptr; ++variable) {
    std::string_view text(*variable);
    bool about_us = text.starts_with("NOTIFY_SOCKET=") || text.starts_with("WATCHDOG_USEC=") ||
                    text.starts_with("WATCHDOG_PID=");
    if (!about_us) kept.push_back(*variable);
  }
  kept.push_back(nullptr);
  return kept;
}

pid_t launch(const std::string& program, const std::vector<std::string>& arguments, int out, int err,
             int in) {
  const Fd null(::open("/dev/null", O_RDWR | O_CLOEXEC));
  if (!null) throw_errno("/dev/null");
  if (out == Child::kNull) out = null.get();
  if (err == Child::kNull) err = null.get();
  if (in == Child::kNull) in = null.get();
  std::vector<char*> argv;
  argv.push_back(const_cast<char*>(program.c_str()));
  for (const auto& argument : arguments) argv.push_back(const_cast<char*>(argument.c_str()));
  argv.push_back(nullptr);
  std::vector<char*> environment = environment_for_children();
  auto [read_end, write_end] = make_pipe();
  Plan plan{program.c_str(), argv.data(), environment.data(), ::getpid(), out, err, in, write_end.get()};
  pid_t pid = ::fork();
  if (pid < 0) throw_errno("fork");
  if (pid == 0) become(plan);
  write_end.reset();
  int error = 0;
  ssize_t count = 0;
  do count = ::read(read_end.get(), &error, sizeof error);
  while (count < 0 && errno == EINTR);
  if (count == static_cast<ssize_t>(sizeof error)) {
    ::waitpid(pid, nullptr, 0);
    throw std::system_error(error, std::generic_category(), "cannot start " + program);
  }
  return pid;
}

}  // namespace

Child Child::start(const std::string& program, const std::vector<std::string>& arguments, int out, int err,
                   int in) {
  const pid_t pid = launch(program, arguments, out, err, in);
  // The child is ours and not reaped, so its number cannot have been used again.
  auto pidfd = static_cast<int>(::syscall(SYS_pidfd_open, pid, 0U));
  if (pidfd < 0) {
    int error = errno;
    ::kill(pid, SIGKILL);
    ::waitpid(pid, nullptr, 0);
    throw std::system_error(error, std::generic_category(), "pidfd_open");
  }
  ::fcntl(pidfd, F_SETFD, FD_CLOEXEC);
  return {pid, Fd(pidfd), false};
}

Child Child::adopt(Fd pidfd) {
  // The line is there for a pidfd alone; -1: it has gone, 0: it is in a namespace that is not below ours.
  std::ifstream info(fmt::format("/proc/self/fdinfo/{}", pidfd.get()));
  pid_t pid = 0;
  for (std::string line; std::getline(info, line);) {
    constexpr std::string_view kPid = "Pid:\t";
    if (line.starts_with(kPid)) std::from_chars(line.data() + kPid.size(), line.data() + line.size(), pid);
  }
  if (pid <= 0) throw std::system_error(ESRCH, std::generic_category(), "a process that wants to join");
  return {pid, std::move(pidfd), true};
}

Child::~Child() {
  if (!running() || adopted_) return;
  kill();
  pollfd wait{pidfd(), POLLIN, 0};
  ::poll(&wait, 1,
         1000);  // SIGKILL works at once, but for a process inside a hanging NAS: init reaps that one
  reap();
}

void Child::kill() {
  if (!running()) return;
  if (adopted_) {
    ::syscall(SYS_pidfd_send_signal, pidfd(), SIGKILL, nullptr, 0U);
  } else {
    ::kill(-pid_, SIGKILL);
  }
}

bool Child::reap() {
  if (!running()) return true;
  if (adopted_) {
    pollfd ended{pidfd(), POLLIN, 0};
    if (::poll(&ended, 1, 0) != 1) return false;
    pidfd_.reset();
    return true;
  }
  siginfo_t info{};
  if (::waitid(P_PID, static_cast<id_t>(pid_), &info, WEXITED | WNOHANG | WNOWAIT) != 0 || info.si_pid == 0) {
    return false;
  }
  // Its group exists as long as it is not reaped: no process of the user's may outlive the worker that
  // started it.
  ::kill(-pid_, SIGKILL);
  ::waitpid(pid_, &status_, 0);
  pidfd_.reset();
  return true;
}

std::string Child::fate() const {
  if (adopted_) return "has gone";
  if (WIFSIGNALED(status_)) {
    int signal = WTERMSIG(status_);
    const char* name = ::sigabbrev_np(signal);
    return name == nullptr ? fmt::format("was killed by signal {}", signal)
                           : fmt::format("was killed by signal {} (SIG{})", signal, name);
  }
  return fmt::format("exited with {}", WEXITSTATUS(status_));
}

int Child::exit_code() const {
  return WIFEXITED(status_) && !adopted_ ? WEXITSTATUS(status_) : -1;
}

Result<std::string> capture(const std::string& program, const std::vector<std::string>& arguments,
                            std::size_t max_bytes, int input) {
  try {
    auto [read_end, write_end] = make_pipe();
    Child child = Child::start(program, arguments, write_end.get(), Child::kInherit, input);
    write_end.reset();
    std::string text;
    std::array<char, 64 * 1024> chunk;
    while (text.size() <= max_bytes) {
      ssize_t count = ::read(read_end.get(), chunk.data(), chunk.size());
      if (count < 0 && errno == EINTR) continue;
      if (count <= 0) break;
      text.append(chunk.data(), static_cast<std::size_t>(count));
    }
    if (text.size() > max_bytes)
      return fail(Fault::kFatal, fmt::format("{}: more than {} bytes of output", program, max_bytes));
    pollfd ended{child.pidfd(), POLLIN, 0};
    while (!child.reap()) ::poll(&ended, 1, -1);
    if (child.exit_code() == kExitOk) return text;
    return fail(Fault::kFatal, fmt::format("{} {}", program, child.fate()),
                child.exit_code() < 0 ? int{kExitBug} : child.exit_code());
  } catch (const std::system_error& error) {
    return fail(Fault::kFatal, error.what(), kExitBug);
  }
}

std::string own_folder() {
  std::array<char, 4096> path{};
  ssize_t length = ::readlink("/proc/self/exe", path.data(), path.size());
  if (length <= 0) throw_errno("/proc/self/exe");
  std::string_view text(path.data(), static_cast<std::size_t>(length));
  return folder_of(text);
}

bool is_stopped(pid_t pid) {
  const char state = process_state(pid);
  return state == 'T' || state == 't';
}

std::size_t pss_bytes(pid_t pid) {
  Fd file(::open(fmt::format("/proc/{}/smaps_rollup", pid).c_str(), O_RDONLY | O_CLOEXEC));
  return file ? pss_bytes_in(file.get()) : 0;
}

std::size_t pss_bytes_in(int smaps_rollup) {
  std::array<char, 4096> buffer{};
  ssize_t count = ::pread(smaps_rollup, buffer.data(), buffer.size(), 0);
  if (count <= 0) return 0;
  std::string_view text(buffer.data(), static_cast<std::size_t>(count));
  std::size_t at = text.find("\nPss:");
  if (at == std::string_view::npos) return 0;
  at = text.find_first_of("0123456789", at);
  std::size_t kib = 0;
  if (at != std::string_view::npos) std::from_chars(text.data() + at, text.data() + text.size(), kib);
  return kib * 1024;
}

}  // namespace leat::supervisor
