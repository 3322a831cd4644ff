// What leat-writer may do. DESIGN.md has the reasons.
#pragma once

#include "workers/stage/confinement.h"

namespace leat::writer {

stage::Policy sandbox(const config::Pipeline& pipeline, const stage::Surroundings& surroundings);

}  // namespace leat::writer
