// What `leat status` gets: the contract with people's programs, so keys are never renamed. leatd(8) lists them.
#pragma once

#include <string>
#include <vector>

#include "daemon/leatd/loader.h"
#include "daemon/leatd/runner.h"
#include "proto/base/json.h"

namespace leat::leatd {

// One pipeline, with all its workers.
void put_pipeline(JsonWriter& json, const Runner& runner);
// A file that cannot be used, and why.
void put_refused(JsonWriter& json, const plan::Candidate& candidate);
// All that is wrong with a file, a line each.
std::string problems_of(const plan::Candidate& candidate);
// "2026-11-24T09:00:00Z"
std::string iso_time(std::int64_t unix_s);

}  // namespace leat::leatd
