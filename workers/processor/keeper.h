// The process between a processor and the program of an exec step: it sees to it that nothing of the program stays.
//
// Whatever the program starts, also in sessions of its own, becomes the keeper's when its parent dies
// (PR_SET_CHILD_SUBREAPER). The keeper outlives the processor and leat itself: it notices their death by a pipe that
// hangs up. So nothing has to be in order for the end of a program, not even that anybody asks for it. Only if the keeper
// itself is killed (the program cannot: it reaches no process outside), the program dies with it but not what it started.
#pragma once

#include <sys/types.h>

namespace leat::processor {

struct Kept {
  pid_t program;     // a child of the calling process
  int alive;         // hangs up when the program is to end
  int listener;      // of ask_keeper(); -1: nothing is asked
  int processes;     // and threads, the program included: the most there may be
  int messages;      // read end of what the program has for stderr
  const char* temp;  // a folder that is removed at the end, with what is in it
};

// Ends as the program ended (its exit code, its signal), with all that it has started, at its end or when `alive` hangs
// up. What the program writes to stderr is passed on to ours, up to 64 KiB in 10 s: the rest is counted and skipped, as
// a program that never stops to complain would fill a disk. Closes every descriptor but 2 and its own. Only for a process that has just been forked for this.
[[noreturn]] void keep(const Kept& kept);

// For the program, between fork and exec, when it can gain no privileges any more: every start of a process or thread,
// its own and those of all that comes from it, waits for the answer of the process that has the descriptor that is returned. So does
// every signal if `signals`, for kernels whose Landlock knows none: it is only let through to what the keeper keeps.
// -1: the kernel has no such thing, or another process listens already.
int ask_keeper(bool signals) noexcept;

// Over a pair of stream sockets.
bool send_descriptor(int socket, int fd) noexcept;
int receive_descriptor(int socket) noexcept;  // -1: none came

}  // namespace leat::processor
