// What leatd says of its pipelines.
#pragma once

#include <string>

#include "daemon/leatd/loader.h"
#include "daemon/leatd/runner.h"
#include "proto/status.h"

namespace leat::leatd {

// One pipeline, with all its workers.
proto::PipelineStatus status_of(const Runner& runner);
// A file that cannot be used, and why.
proto::PipelineStatus status_of(const plan::Candidate& refused);
// All that is wrong with a file, a line each.
std::string problems_of(const plan::Candidate& candidate);
// "2026-11-24T09:00:00Z"
std::string iso_time(std::int64_t unix_s);

}  // namespace leat::leatd
