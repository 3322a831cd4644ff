// Why not process groups, PDEATHSIG or RLIMIT_NPROC: a group is left by setsid(), the signal is not inherited, and the
// limit counts all processes of the user, those of others included, and does not bind root. A PID namespace would do
// all of this, but not in containers, nor in units, where namespaces are forbidden.
//
// Counting: the kernel asks the keeper before a process is started (seccomp's user notification). It reads /proc only
// once as many were started as there was room for at the last sample; processes that have ended since are found then.
//
// The keeper is a copy of a process with threads, so it makes system calls only, and allocates nothing.
#include "workers/processor/keeper.h"

#include <fcntl.h>
#include <linux/audit.h>
#include <linux/close_range.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <csignal>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <ctime>
#include <iterator>

namespace leat::processor {
namespace {

constexpr int kMostCounted = 40'000;  // config allows 32,768

// "/proc/" PID "/task/" TID "/children", without allocating.
class Path {
 public:
  Path& operator<<(const char* text) {
    while (*text != '\0' && used_ < sizeof text_ - 1) text_[used_++] = *text++;
    return *this;
  }
  Path& operator<<(pid_t number) {
    if (auto [end, error] = std::to_chars(text_ + used_, text_ + sizeof text_ - 1, number);
        error == std::errc())
      used_ = static_cast<std::size_t>(end - text_);
    return *this;
  }
  const char* text() {
    text_[used_] = '\0';
    return text_;
  }

 private:
  char text_[96];
  std::size_t used_ = 0;
};

// The process numbers in a file such as children: digits, each followed by a space.
template <class Each>
void each_number(const char* path, Each each) {
  const int file = ::open(path, O_RDONLY | O_CLOEXEC);
  if (file < 0) return;
  char piece[4096];
  pid_t number = 0;
  ssize_t count = 0;
  while ((count = ::read(file, piece, sizeof piece)) > 0) {
    for (ssize_t i = 0; i < count; ++i) {
      if (piece[i] >= '0' && piece[i] <= '9') {
        number = 10 * number + (piece[i] - '0');
      } else {
        if (number > 1) each(number);
        number = 0;
      }
    }
  }
  ::close(file);
}

struct Entry {  // linux_dirent64
  std::uint64_t inode;
  std::int64_t offset;
  unsigned short length;
  unsigned char type;
  char name[1];
};

// The threads of a process.
template <class Each>
void each_thread(pid_t process, Each each) {
  const int folder =
      ::open((Path() << "/proc/" << process << "/task").text(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (folder < 0) return;
  alignas(8) char entries[4096];
  long count = 0;
  while ((count = ::syscall(SYS_getdents64, folder, entries, sizeof entries)) > 0) {
    for (long at = 0; at < count;) {
      const char* name = entries + at + offsetof(Entry, name);
      unsigned short length = 0;
      std::memcpy(&length, entries + at + offsetof(Entry, length), sizeof length);
      pid_t thread = 0;
      std::from_chars(name, name + std::strlen(name), thread);
      if (thread > 0) each(thread);
      at += length;
    }
  }
  ::close(folder);
}

// All processes and threads that come from this one, without it.
int count_tasks() {
  static pid_t found[kMostCounted];
  int processes = 0;
  int tasks = 0;
  const auto add_children = [&](pid_t process, pid_t thread) {
    each_number((Path() << "/proc/" << process << "/task/" << thread << "/children").text(),
                [&](pid_t child) {
                  if (processes < kMostCounted) found[processes++] = child;
                });
  };
  add_children(::getpid(), ::getpid());
  for (int i = 0; i < processes; ++i) {
    each_thread(found[i], [&](pid_t thread) {
      ++tasks;
      add_children(found[i], thread);
    });
  }
  return tasks;
}

// Kills and reaps until there is nothing left. A process that loses its parent becomes ours, and is killed in the next round.
void end_all() {
  const pid_t self = ::getpid();
  for (;;) {
    each_number((Path() << "/proc/" << self << "/task/" << self << "/children").text(),
                [](pid_t child) { ::kill(child, SIGKILL); });
    if (::waitpid(-1, nullptr, 0) < 0 && errno == ECHILD) return;
    while (::waitpid(-1, nullptr, WNOHANG) > 0) {
    }
  }
}

void run(const char* const* command) {
  const pid_t pid = ::fork();
  if (pid == 0) {
    const char* const environment[] = {"PATH=/usr/bin:/bin", nullptr};
    ::close(STDERR_FILENO);
    ::execve(command[0], const_cast<char* const*>(command), const_cast<char* const*>(environment));
    ::_exit(127);
  }
  if (pid > 0) ::waitpid(pid, nullptr, 0);
}

// The program may have left folders that nobody may list.
void remove_all(const char* folder) {
  if (::rmdir(folder) == 0 || errno == ENOENT) return;
  const char* const remove[] = {"/bin/rm", "-rf", "--", folder, nullptr};
  const char* const open_up[] = {"/bin/chmod", "-R", "u+rwx", "--", folder, nullptr};
  run(remove);
  if (::access(folder, F_OK) != 0) return;
  run(open_up);
  run(remove);
}

// All but stderr and these, which are sorted.
template <std::size_t kCount>
void close_all_but(int (&kept)[kCount]) {
  std::sort(std::begin(kept), std::end(kept));
  ::close(STDIN_FILENO);
  ::close(STDOUT_FILENO);
  unsigned from = STDERR_FILENO + 1;
  for (const int fd : kept) {
    if (fd < 0) continue;
    const auto next = static_cast<unsigned>(fd);
    if (next > from) ::close_range(from, next - 1, 0);
    from = next + 1;
  }
  ::close_range(from, ~0U, 0);
}

// What the program says, on its way to stderr. A piece waits until stderr takes it, and the program with it, as it would if
// stderr were its own.
class Messages {
 public:
  explicit Messages(int from) : from_(from) {}

  // What is to be waited for next: a piece, or room for it.
  pollfd from() const { return {used_ > 0 ? -1 : from_, POLLIN, 0}; }
  pollfd to() const { return {used_ > 0 ? STDERR_FILENO : -1, POLLOUT, 0}; }
  // Until the count of what was skipped may be told; -1: nothing was.
  int due_ms() const {
    return skipped_bytes_ == 0 || used_ > 0
               ? -1
               : static_cast<int>(std::max<std::int64_t>(0, since_ms_ + kWindowMs - now_ms()));
  }

  void take() {
    char piece[kPiece];
    const ssize_t count = ::read(from_, piece, sizeof piece);
    if (count < 0 && (errno == EAGAIN || errno == EINTR)) return;
    if (count <= 0) {
      from_ = -1;
      return;
    }
    const auto bytes = static_cast<std::size_t>(count);
    const std::size_t passes = std::min(bytes, kMost - passed_);
    std::memcpy(piece_, piece, passes);
    used_ = passes;
    passed_ += passes;
    skipped_bytes_ += bytes - passes;
  }

  void give() {
    const ssize_t written = ::write(STDERR_FILENO, piece_, used_);
    if (written < 0 && (errno == EAGAIN || errno == EINTR)) return;
    const std::size_t done = written < 0 ? used_ : static_cast<std::size_t>(written);  // there is no stderr
    line_ended_ = piece_[done - 1] == '\n';
    used_ -= done;
    std::memmove(piece_, piece_ + done, used_);
  }

  // A window that is over begins again.
  void tick() {
    const std::int64_t now = now_ms();
    if (now - since_ms_ < kWindowMs || used_ > 0) return;
    if (skipped_bytes_ > 0) report_skipped();
    since_ms_ = now;
    passed_ = skipped_bytes_ = 0;
  }

  // All that writes there has ended. Nothing is waited for any more.
  void finish() {
    for (;;) {
      pollfd next = used_ > 0 ? to() : from();
      const bool ready = next.fd >= 0 && ::poll(&next, 1, used_ > 0 ? kPatienceMs : 0) > 0;
      if (!ready) break;
      used_ > 0 ? give() : take();
    }
    if (skipped_bytes_ > 0) report_skipped();
  }

 private:
  static constexpr std::size_t kPiece = 4096;  // a pipe that has room takes so much at once
  static constexpr std::size_t kMost = 64 * 1024;
  static constexpr std::int64_t kWindowMs = 10'000;
  static constexpr int kPatienceMs = 100;

  static std::int64_t now_ms() {
    timespec now{};
    ::clock_gettime(CLOCK_MONOTONIC, &now);
    return std::int64_t{now.tv_sec} * 1000 + now.tv_nsec / 1'000'000;
  }
  void report_skipped() {
    Path text;
    text << (line_ended_ ? "" : "\n") << "leat: skipped of stderr of an exec program, in bytes: ";
    char number[24] = {};
    std::to_chars(number, number + sizeof number - 1, skipped_bytes_);
    text << number << "\n";
    const char* line = text.text();
    pollfd room{STDERR_FILENO, POLLOUT, 0};
    if (::poll(&room, 1, kPatienceMs) == 1 && ::write(STDERR_FILENO, line, std::strlen(line)) > 0)
      line_ended_ = true;
  }

  int from_;
  char piece_[kPiece] = {};
  std::size_t used_ = 0;
  std::size_t passed_ = 0;         // in this window
  std::size_t skipped_bytes_ = 0;  // in this window
  std::int64_t since_ms_ = now_ms();
  bool line_ended_ = true;
};

// 0: it has gone.
pid_t parent_of(pid_t pid) {
  const int file = ::open((Path() << "/proc/" << pid << "/stat").text(), O_RDONLY | O_CLOEXEC);
  if (file < 0) return 0;
  char text[512];  // 1234 (name) S 1233 ...
  const ssize_t count = ::read(file, text, sizeof text - 1);
  ::close(file);
  if (count <= 0) return 0;
  text[count] = '\0';
  const char* end_of_name = std::strrchr(text, ')');
  pid_t parent = 0;
  if (end_of_name != nullptr && std::strlen(end_of_name) > 4)
    std::from_chars(end_of_name + 4, text + count, parent);
  return parent;
}

// May a signal go to this number, as kill(2) takes it? Its own group, and what comes from us; a group has the number of
// who made it.
bool is_kept(pid_t target) {
  if (target == 0) return true;
  if (target == -1) return false;
  const pid_t self = ::getpid();
  for (pid_t pid = parent_of(target < 0 ? -target : target); pid > 1; pid = parent_of(pid)) {
    if (pid == self) return true;
  }
  return false;
}

// 0, or the errno that the call is to fail with. `room`: how many may be started before they are to be counted again.
int judge(const seccomp_data& call, int most, int& room) {
  switch (call.nr) {
    case SYS_kill:
    case SYS_tkill:
    case SYS_tgkill:
    case SYS_rt_sigqueueinfo:
    case SYS_rt_tgsigqueueinfo:
      return is_kept(static_cast<pid_t>(call.args[0])) ? 0 : EPERM;
    case SYS_pidfd_send_signal:
      return EPERM;  // whose descriptor it is cannot be seen from here; libraries use kill then
    default:
      if (room <= 0) room = most - count_tasks();
      return room-- > 0 ? 0 : EAGAIN;
  }
}

// Answers one question of the kernel.
void answer(int listener, int most, int& room) {
  alignas(8) char question[256] = {};  // larger than the structures are, should they grow
  alignas(8) char reply[256] = {};
  auto* asked = reinterpret_cast<seccomp_notif*>(question);
  auto* said = reinterpret_cast<seccomp_notif_resp*>(reply);
  if (::ioctl(listener, SECCOMP_IOCTL_NOTIF_RECV, asked) != 0) return;  // the process that asked is dead
  said->id = asked->id;
  said->error = -judge(asked->data, most, room);
  if (said->error == 0) said->flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE;
  ::ioctl(listener, SECCOMP_IOCTL_NOTIF_SEND, said);
}

// True once the program has ended; `status` is how.
bool reap(pid_t program, int& status) {
  bool ended = false;
  for (;;) {
    int how = 0;
    const pid_t pid = ::waitpid(-1, &how, WNOHANG);
    if (pid <= 0) return ended;
    if (pid != program) continue;
    status = how;
    ended = true;
  }
}

}  // namespace

void keep(const Kept& kept) {
  constexpr char kName[] = "leat-keeper";
  ::prctl(PR_SET_NAME, kName);
  // this one is argv[0] itself: for `ps`
  const std::size_t room_for_name = std::strlen(program_invocation_name);
  if (room_for_name >= sizeof kName) {
    std::memset(program_invocation_name, 0, room_for_name);
    std::memcpy(program_invocation_name, kName, sizeof kName);
  }
  sigset_t all;
  ::sigfillset(&all);
  ::sigprocmask(SIG_SETMASK, &all, nullptr);
  const int alive = ::fcntl(kept.alive, F_DUPFD_CLOEXEC, 10);
  const int listener = kept.listener < 0 ? -1 : ::fcntl(kept.listener, F_DUPFD_CLOEXEC, 10);
  const int from_program = ::fcntl(kept.messages, F_DUPFD_CLOEXEC, 10);
  int descriptors[] = {alive, listener, from_program};
  close_all_but(descriptors);
  ::fcntl(from_program, F_SETFL, O_NONBLOCK);
  Messages messages(from_program);
  sigset_t child;
  ::sigemptyset(&child);
  ::sigaddset(&child, SIGCHLD);
  const int signals = ::signalfd(-1, &child, SFD_CLOEXEC | SFD_NONBLOCK);

  int status = SIGKILL;  // of one that had to be ended
  int room = 0;
  pollfd waits[] = {
      {signals, POLLIN, 0}, {alive, 0, 0}, {listener, POLLIN, 0}, messages.from(), messages.to()};
  while (!reap(kept.program, status)) {
    waits[3] = messages.from();
    waits[4] = messages.to();
    ::poll(waits, std::size(waits), messages.due_ms());
    if (waits[1].revents != 0) break;
    if (waits[2].revents & POLLIN) answer(listener, kept.processes, room);
    if (waits[2].revents & (POLLHUP | POLLERR)) waits[2].fd = -1;
    if (waits[3].revents != 0) messages.take();
    if (waits[4].revents != 0) messages.give();
    messages.tick();
    signalfd_siginfo ignored;
    while (::read(signals, &ignored, sizeof ignored) > 0) {
    }
  }
  end_all();
  messages.finish();
  remove_all(kept.temp);
  if (!WIFSIGNALED(status)) ::_exit(WEXITSTATUS(status));
  const rlimit no_core{0, 0};
  ::setrlimit(RLIMIT_CORE, &no_core);
  ::signal(WTERMSIG(status), SIG_DFL);
  ::kill(::getpid(), WTERMSIG(status));
  ::sigemptyset(&all);
  ::sigprocmask(SIG_SETMASK, &all, nullptr);
  ::_exit(127);
}

int ask_keeper(bool signals) noexcept {
  constexpr int kCalls[] = {
#ifdef SYS_fork
      SYS_fork, SYS_vfork,
#endif
      SYS_clone,
      // signals
      SYS_kill, SYS_tkill, SYS_tgkill, SYS_rt_sigqueueinfo, SYS_rt_tgsigqueueinfo, SYS_pidfd_send_signal};
  constexpr std::size_t kSignals = 6;
  const std::size_t calls = std::size(kCalls) - (signals ? 0 : kSignals);
  sock_filter program[std::size(kCalls) + 3];
  program[0] = BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr));
  for (std::size_t i = 0; i < calls; ++i) {
    const auto to_the_end = static_cast<unsigned char>(calls - i);
    program[1 + i] = BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, static_cast<unsigned>(kCalls[i]), to_the_end, 0);
  }
  program[1 + calls] = BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
  program[2 + calls] = BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_USER_NOTIF);
  sock_fprog filter{static_cast<unsigned short>(calls + 3), program};
  unsigned long flags = SECCOMP_FILTER_FLAG_NEW_LISTENER;
#ifdef SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV
  // Without it a signal at the wrong moment asks again: a runtime that sends itself many would never get on.
  const long listener = ::syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER,
                                  flags | SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV, &filter);
  if (listener >= 0 || errno != EINVAL) return static_cast<int>(listener);
#endif
  return static_cast<int>(::syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, &filter));
}

bool send_descriptor(int socket, int fd) noexcept {
  char byte = 0;
  iovec data{&byte, 1};
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {};
  msghdr message{};
  message.msg_iov = &data;
  message.msg_iovlen = 1;
  if (fd >= 0) {
    message.msg_control = control;
    message.msg_controllen = sizeof control;
    cmsghdr* header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof(int));
    std::memcpy(CMSG_DATA(header), &fd, sizeof fd);
  }
  return ::sendmsg(socket, &message, MSG_NOSIGNAL) == 1;
}

int receive_descriptor(int socket) noexcept {
  char byte = 0;
  iovec data{&byte, 1};
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {};
  msghdr message{};
  message.msg_iov = &data;
  message.msg_iovlen = 1;
  message.msg_control = control;
  message.msg_controllen = sizeof control;
  ssize_t count = 0;
  while ((count = ::recvmsg(socket, &message, MSG_CMSG_CLOEXEC)) < 0 && errno == EINTR) {
  }
  const cmsghdr* header = count == 1 ? CMSG_FIRSTHDR(&message) : nullptr;
  if (header == nullptr || header->cmsg_type != SCM_RIGHTS) return -1;
  int fd = -1;
  std::memcpy(&fd, CMSG_DATA(header), sizeof fd);
  return fd;
}

}  // namespace leat::processor
