// Limits of the operating system that a pipeline must fit into. libzmq aborts its process where a descriptor or a thread is
// missing, so what will be needed is checked before there is a socket.
#pragma once

#include <cstdint>

#include "config/pipeline.h"
#include "proto/base/result.h"

namespace leat::stage {

// Open files of leatd itself: with 32 people who ask at once.
inline constexpr std::uint64_t kDescriptorsOfLeatd = 64;

// Open files that each process of the pipeline may need. Measured: the filter has 25 and three more a processor, the writer 25
// and 32 outputs that wait for a commit.
std::uint64_t descriptors_for(const config::Pipeline& pipeline);

// Of its supervisor alone, many of which share leatd's process. Measured: 23 and two more a worker.
std::uint64_t descriptors_of_supervisor(const config::Pipeline& pipeline);

// Raises the soft limit of this process, which its children inherit, to `needed` where it is lower. kFatal, 74: the hard limit
// is lower too.
[[nodiscard]] Result<void> allow_descriptors(std::uint64_t needed);

// Threads of libzmq in each process that has a socket.
inline constexpr int kTasksOfSockets = 2;

// Processes and threads of a pipeline with so many processors, its supervisor's threads included.
int tasks_for(const config::Pipeline& pipeline, int processors);

// Whether so many can be started now: threads that do nothing are, all at once. No other way sees all limits: of the user, of
// a unit, of a container. kRetry, 74: they cannot.
[[nodiscard]] Result<void> allow_tasks(int needed);

}  // namespace leat::stage
