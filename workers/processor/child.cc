// posix_spawn cannot set PR_SET_PDEATHSIG, so this forks. A worker has other threads (ZeroMQ's), therefore
// only async-signal-safe calls stand between fork and exec, and everything they need is made before. A failed
// exec sends its errno back through a close-on-exec pipe: end of file there means that the command runs.
#include "workers/processor/child.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/close_range.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace leat::processor {
namespace {

constexpr int kPipeBytes = 256 * 1024;  // under the usual limit of a pipe (1 MiB) and of a user (64 MiB)

struct Failure {
  int where;  // 0: chdir, 1: exec
  int error;
};

struct Pipe {
  int fds[2] = {-1, -1};
  Pipe() = default;
  Pipe(const Pipe&) = delete;
  Pipe& operator=(const Pipe&) = delete;
  ~Pipe() {
    for (int fd : fds)
      if (fd >= 0) close(fd);
  }
  bool open() { return pipe2(fds, O_CLOEXEC) == 0; }
  int take(int end) { return std::exchange(fds[end], -1); }
};

// The child, between fork and exec.
[[noreturn]] void become(char* const* argv, const char* folder, int in, int out, int report, pid_t parent) {
  setpgid(0, 0);
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (getppid() != parent) _exit(127);  // it died before the line above
  for (int signal_number = 1; signal_number < NSIG; ++signal_number) signal(signal_number, SIG_DFL);
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, nullptr);
  Failure failure{0, 0};
  // Should ours be 0 or 1 (a parent without stdin), dup2 onto them in the right order needs them out of the
  // way.
  in = fcntl(in, F_DUPFD_CLOEXEC, 3);
  out = fcntl(out, F_DUPFD_CLOEXEC, 3);
  if (dup2(in, 0) < 0 || dup2(out, 1) < 0 || (folder[0] != '\0' && chdir(folder) != 0)) {
    failure.error = errno;
  } else {
    close_range(3, ~0U, CLOSE_RANGE_CLOEXEC);
    execvp(argv[0], argv);
    failure = {1, errno};
  }
  [[maybe_unused]] const ssize_t written = write(report, &failure, sizeof failure);
  _exit(127);
}

std::string describe(int status) {
  if (WIFSIGNALED(status)) {
    const char* name = sigabbrev_np(WTERMSIG(status));
    return name != nullptr ? fmt::format("killed by signal {} (SIG{})", WTERMSIG(status), name)
                           : fmt::format("killed by signal {}", WTERMSIG(status));
  }
  return fmt::format("exited with {}", WEXITSTATUS(status));
}

int reap(pid_t pid) {
  int status = 0;
  while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {
  }
  return status;
}

}  // namespace

Result<std::unique_ptr<Child>> Child::start(const std::vector<std::string>& command,
                                            const std::string& working_dir) {
  std::vector<char*> argv;
  argv.reserve(command.size() + 1);
  for (const std::string& argument : command) argv.push_back(const_cast<char*>(argument.c_str()));
  argv.push_back(nullptr);

  Pipe in, out, report;
  if (!in.open() || !out.open() || !report.open())
    return fail(Fault::kRetry,
                fmt::format("exec {}: cannot open a pipe: {}", command[0], std::strerror(errno)));
  const pid_t parent = getpid();
  const pid_t pid = fork();
  if (pid < 0)
    return fail(Fault::kRetry,
                fmt::format("exec {}: cannot start a process: {}", command[0], std::strerror(errno)));
  if (pid == 0) become(argv.data(), working_dir.c_str(), in.fds[0], out.fds[1], report.fds[1], parent);
  setpgid(pid, pid);  // both sides do it, so that neither can be too early

  close(report.take(1));
  Failure failure{};
  ssize_t got = 0;
  while ((got = read(report.fds[0], &failure, sizeof failure)) < 0 && errno == EINTR) {
  }
  if (got == static_cast<ssize_t>(sizeof failure)) {
    reap(pid);
    const bool folder = failure.where == 0;
    return fail(
        Fault::kFatal,
        fmt::format("exec {}: cannot {} {}: {}", command[0], folder ? "enter the folder" : "run the command",
                    folder ? working_dir : command[0], std::strerror(failure.error)),
        kExitConfig);
  }

  std::unique_ptr<Child> child(new Child);
  child->pid_ = pid;
  child->in_ = in.take(1);
  child->out_ = out.take(0);
  for (int fd : {child->in_, child->out_}) {
    fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
    fcntl(fd, F_SETPIPE_SZ, kPipeBytes);  // may be refused: then it is slower
  }
  return child;
}

Child::~Child() {
  if (pid_ > 0) end(std::chrono::milliseconds(0));
}

void Child::close_in() {
  if (in_ >= 0) close(in_);
  in_ = -1;
}

std::string Child::end(std::chrono::milliseconds grace) {
  LEAT_CHECK(pid_ > 1, "end() was called before");  // kill() below would reach others
  close_in();
  close(out_);
  out_ = -1;
  bool exited = false;
  if (const int pidfd = static_cast<int>(syscall(SYS_pidfd_open, pid_, 0)); pidfd >= 0) {
    pollfd wait{pidfd, POLLIN, 0};
    exited = poll(&wait, 1, static_cast<int>(grace.count())) > 0;
    close(pidfd);
  }
  kill(-pid_, SIGKILL);  // a zombie still holds the group's number, so this hits nobody else
  const int status = reap(pid_);
  pid_ = -1;
  return exited ? describe(status) : std::string();
}

}  // namespace leat::processor
