// The main() of every worker: its arguments, what may be asked of it without a supervisor, and its memberships.
#pragma once

#include <functional>
#include <string>

#include "workers/stage/worker.h"

namespace leat::stage {

struct Program {
  proto::Stage role;
  // what --list (reader) or --describe (filter) prints; or empty
  std::function<int(const config::Pipeline&)> inspect;
  Confinement confinement;
  std::function<void(Worker&)> work;
};

// The main() of a worker program.
int run_worker(const Program& program, int argc, char** argv);

}  // namespace leat::stage
