// Limits of the operating system that a pipeline must fit into.
#pragma once

#include <cstdint>

#include "config/pipeline.h"
#include "proto/result.h"

namespace leat::supervisor {

// Open files that each process of the pipeline may need. Measured: the filter has 25 and three more a processor, the writer 25
// and 32 outputs that wait for a commit, the supervisor 23 and two more a worker.
std::uint64_t descriptors_for(const config::Pipeline& pipeline);

// Raises the soft limit of this process, which its children inherit, to `needed` where it is lower. kFatal, 74: the hard limit
// is lower too.
[[nodiscard]] Result<void> allow_descriptors(std::uint64_t needed);

}  // namespace leat::supervisor
