// What a process may do from a moment on: files by Landlock, system calls by seccomp, capabilities, and no new
// privileges ever. All of it is inherited by what the process starts, and none of it can be taken back.
//
// A policy is plain data. prepare() opens and allocates, enter() only makes system calls, so that it may stand between
// fork and exec. Landlock restricts the calling thread and what it starts: enter() comes before the other threads, or
// in each of them.
//
// In a domain of Landlock a process reaches no memory, descriptor, root or environment of a process outside of it
// (/proc/PID, ptrace, process_vm_writev), whoever it runs as; one that is outside still sees it. A domain is the
// intersection of all that were entered: a worker that starts programs must allow itself what they may do.
//
// Rules are bound to what stands at a path when prepare() is called. What is mounted below later is covered by the
// rules of the folders above; a rule on a mount point itself ends with that mount.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "proto/base/fd.h"
#include "proto/base/result.h"

struct sock_filter;

namespace leat::stage {

// Rights on a file, or on a folder with all that is below.
enum Access : unsigned {
  kRead = 1,     // read files, list folders
  kExecute = 2,  // execute files
  kWrite = 4,    // write and truncate existing files
  kMake = 8,     // make files, folders, links, FIFOs and sockets (device files never)
  kRemove = 16,  // remove files and folders; with kMake rename within a folder
  kMove = 32,    // rename and link between folders that both have it
  kChange = kWrite | kMake | kRemove | kMove,
};

struct Policy {
  struct Path {
    std::string path;  // absolute; one that does not exist is skipped
    unsigned access = 0;
  };
  std::vector<Path> paths;         // everything else is refused
  bool run_programs = false;       // execve
  bool start_processes = false;    // fork; threads are always allowed
  bool change_attributes = false;  // owner, mode, times and extended attributes of any file of its user
  bool tcp = true;                 // for kernels with Landlock ABI 4, beside `sockets`
  std::vector<int> sockets;  // families that socket(2) may name, such as AF_UNIX; pairs are always allowed
  std::uint64_t keep_capabilities = 0;  // bits by number (1 << CAP_DAC_OVERRIDE), of those that it has
};

// LEAT_SANDBOX=off in the environment: prepare() is not to be called, and the log is to say so.
bool sandbox_is_off();

// Of Landlock in the running kernel; 0: none. 7 is the newest that is made use of.
int landlock_abi();

// "" when this kernel knows all that a policy asks for; else what stays open, for one line of the log.
std::string sandbox_gaps();

// The policy in words, a line each, without an end of line: "reads and executes /", "no network", ...
std::vector<std::string> describe(const Policy& policy);

class Sandbox {
 public:
  // Fails when a path cannot be opened for another reason than that it does not exist, or for want of memory or
  // descriptors (kRetry). A kernel without Landlock is not an error: see sandbox_gaps().
  [[nodiscard]] static Result<Sandbox> prepare(const Policy& policy);
  Sandbox(Sandbox&&) noexcept;
  Sandbox& operator=(Sandbox&&) noexcept;
  ~Sandbox();

  // Adds a rule for what a descriptor is open at, such as a log that is a file: kRead, kWrite. Ignores what Landlock
  // knows no rules for (pipes, sockets: they are always allowed).
  void allow(int fd, unsigned access);

  // Enters it, for good. Returns 0 or an errno. Async-signal-safe. `all_threads`: the system calls of all threads of the
  // process; files, as said, are the calling thread's only.
  int enter(bool all_threads = false) const noexcept;

 private:
  Sandbox();

  Fd ruleset_;  // none: a kernel without Landlock
  std::vector<sock_filter> filter_;
  std::uint64_t keep_capabilities_ = 0;
};

}  // namespace leat::stage
