// Tells whether two pipelines do the same to records: one number for all of filter, steps and sink that changes what is
// written.
#pragma once

#include <cstdint>

#include "config/pipeline.h"

namespace leat::config {

// XXH3-64 over the predicates, the steps (commands as written; not what files or programs hold) and the sink's path,
// compression and rotation. Not over sources, workers, limits, levels, names or how the file is laid out.
std::uint64_t fingerprint(const Pipeline& pipeline);

}  // namespace leat::config
