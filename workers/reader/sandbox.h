// What leat-reader may do. DESIGN.md has the reasons.
#pragma once

#include "workers/stage/confinement.h"

namespace leat::reader {

stage::Policy sandbox(const config::Pipeline& pipeline, const stage::Surroundings& surroundings);

}  // namespace leat::reader
