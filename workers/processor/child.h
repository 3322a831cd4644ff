// A child process with a pipe to its stdin and one from its stdout; its stderr is ours.
//
// The child leads a process group of its own (so Ctrl-C does not reach it and it can be killed with what it
// started), dies with the thread that started it (PR_SET_PDEATHSIG), has default signal dispositions, no
// blocked signal, and no descriptor of ours but 0, 1 and 2. The parent must not have SIGCHLD ignored, and
// must ignore SIGPIPE.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include "proto/result.h"

namespace leat::processor {

class Child {
 public:
  // command: argv, argv[0] searched in PATH; a relative argv[0] with a '/' and everything the child opens are
  // relative to working_dir (empty: ours). A command that cannot be executed, or a folder that cannot be
  // entered, is kFatal with exit code 78; want of processes or descriptors is kRetry.
  [[nodiscard]] static Result<std::unique_ptr<Child>> start(const std::vector<std::string>& command,
                                                            const std::string& working_dir);
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;
  ~Child();  // kills and reaps what end() has not

  pid_t pid() const { return pid_; }
  int in() const { return in_; }    // write end of its stdin, non-blocking; -1 once closed
  int out() const { return out_; }  // read end of its stdout, non-blocking
  void close_in();

  // Waits up to `grace` for the child to exit, then kills it; whatever else is left of its process group is
  // killed too. Reaps it. Returns how it ended, "exited with 3" or "killed by signal 11 (SIGSEGV)", or "" if
  // it had to be killed. Call once.
  std::string end(std::chrono::milliseconds grace);

 private:
  Child() = default;

  pid_t pid_ = -1;
  int in_ = -1;
  int out_ = -1;
};

}  // namespace leat::processor
