// Starting programs and watching them through pidfds.
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <string>
#include <utility>
#include <vector>

#include "proto/base/fd.h"
#include "proto/base/result.h"

namespace leat::supervisor {

// A process that we started. It leads a process group of its own (a Ctrl-C in the terminal does not reach it)
// and dies with us, whatever kills us. Must be reaped or killed before it is destroyed; the destructor does
// both if need be.
class Child {
 public:
  static constexpr int kInherit = -1;  // stdout or stderr is ours
  static constexpr int kNull = -2;     // or /dev/null

  // in, out, err: descriptors, which stay the caller's, or one of these. Throws std::system_error when it
  // cannot be started, a program that does not exist included. The kernel ties the child's life to the thread that calls
  // this.
  static Child start(const std::string& program, const std::vector<std::string>& arguments, int out = kNull,
                     int err = kInherit, int in = kNull);
  // A process that was not started here. How it ended cannot be known, and whatever else is in its group is not
  // ours. Throws std::system_error: it has gone, its PID namespace cannot be seen from here, or that is no pidfd.
  static Child adopt(Fd pidfd);

  Child(Child&&) noexcept = default;
  Child& operator=(Child&&) noexcept = default;
  ~Child();

  pid_t pid() const { return pid_; }
  int pidfd() const { return pidfd_.get(); }  // readable once it has ended; -1 after reap()
  bool running() const { return static_cast<bool>(pidfd_); }

  // SIGKILL to it and, unless adopted, its group. Harmless when it is gone.
  void kill();
  // Has it ended? Then, unless adopted, whatever is left in its group is killed and its status taken.
  bool reap();
  // Precondition: reaped. "was killed by signal 9 (SIGKILL)", "exited with 70", "has gone" (adopted).
  std::string fate() const;
  int exit_code() const;  // -1: killed by a signal, or adopted

 private:
  Child(pid_t pid, Fd pidfd, bool adopted) : pid_(pid), adopted_(adopted), pidfd_(std::move(pidfd)) {}

  pid_t pid_;
  bool adopted_;
  Fd pidfd_;
  int status_ = 0;
};

// Runs a program to its end and gives what it wrote to stdout. input: its stdin. Fails when it cannot
// be started, writes more than max_bytes, or does not exit with 0.
[[nodiscard]] Result<std::string> capture(const std::string& program,
                                          const std::vector<std::string>& arguments, std::size_t max_bytes,
                                          int input = Child::kNull);

// The folder of the running executable: the workers are beside it. Throws std::system_error.
std::string own_folder();

// Stopped by a signal (or a debugger)? The kernel answers without waiting for the process.
bool is_stopped(pid_t pid);

// Proportional set size of a process in bytes: its own pages and its share of what it shares, so that a sum
// over processes counts nothing twice. 0: gone, or not ours.
std::size_t pss_bytes(pid_t pid);
// The same, of the process whose smaps_rollup that is.
std::size_t pss_bytes_in(int smaps_rollup);

}  // namespace leat::supervisor
