// What the kernel says of a process.
#pragma once

#include <sys/types.h>

namespace leat {

// The letter of its state in /proc/PID/stat: R runs, S sleeps, D waits for a disk, T and t are stopped, Z has ended. 0: it cannot
// be read, as there is none.
char process_state(pid_t pid);

}  // namespace leat
