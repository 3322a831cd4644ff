// A child process with a pipe to its stdin and one from its stdout; its stderr comes to ours by its
// keeper, which bounds it.
//
// The child is confined (exec_sandbox.h) unless LEAT_SANDBOX=off, leads a session of its own (Ctrl-C does not reach it),
// has default signal dispositions, no blocked signal, no descriptor of ours but 0, 1 and 2, a small environment, and a
// folder for TMPDIR. With its end, with ours, whatever kills us, or with this object's, everything that it has started
// is killed and that folder is removed, by its keeper (keeper.h). The parent must not have SIGCHLD ignored, and must
// ignore SIGPIPE.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <memory>
#include <string>

#include "config/pipeline.h"
#include "proto/base/fd.h"
#include "proto/base/result.h"

namespace leat::processor {

class Child {
 public:
  // step: an exec step. command[0] is searched in PATH; if it is relative with a '/', it and everything the child opens
  // are relative to working_dir (empty: ours). A command that cannot be executed, a folder that cannot be entered or
  // that it may write to and is not there, is kFatal with exit code 78; want of processes or descriptors is kRetry.
  [[nodiscard]] static Result<std::unique_ptr<Child>> start(const config::Step& step,
                                                            const std::string& working_dir);
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;
  ~Child();  // kills and reaps what end() has not

  pid_t pid() const { return pid_; }
  int in() const { return in_.get(); }    // write end of its stdin, non-blocking; -1 once closed
  int out() const { return out_.get(); }  // read end of its stdout, non-blocking
  void close_in() { in_.reset(); }

  // Waits up to `grace` for the child to exit, then kills it, in either case with all that it has started. Returns how
  // it ended, "exited with 3" or "killed by signal 11 (SIGSEGV)", or "" if it had to be killed. Call once.
  std::string end(std::chrono::milliseconds grace);

 private:
  Child() = default;

  pid_t pid_ = -1;
  pid_t keeper_ = -1;
  Fd alive_;  // the keeper ends the child when this is closed
  Fd in_;
  Fd out_;
};

}  // namespace leat::processor
