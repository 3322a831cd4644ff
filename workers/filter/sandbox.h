// What leat-filter may do. DESIGN.md has the reasons.
#pragma once

#include "workers/stage/confinement.h"

namespace leat::filter {

stage::Policy sandbox(const config::Pipeline& pipeline, const stage::Surroundings& surroundings);

}  // namespace leat::filter
