// How a worker confines itself: what all of them may do beside what each stage's own list says (workers/STAGE/sandbox.cc).
//
// It is done before the first socket, as Landlock holds for the calling thread and those that it starts: so what a worker is
// for comes as a briefing (proto/descriptors.h), not by its socket.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "config/pipeline.h"
#include "proto/base/result.h"
#include "workers/stage/sandbox.h"

namespace leat::stage {

// Folders of the run; absolute.
struct Surroundings {
  std::string runtime;          // its own sockets and page
  std::string state;            // the ledger
  bool volatile_state = false;  // the ledger ends with the run: the sink is a pipe or a device

  template <class Archive, class Self>
  static void fields(Archive& archive, Self& self) {
    archive("runtime", self.runtime, "state", self.state, "volatile_state", self.volatile_state);
  }
};

// What a stage may do; starts from worker_policy().
using Confinement = std::function<Policy(const config::Pipeline&, const Surroundings&)>;

// The runtime folder, sockets in files, and nothing else.
Policy worker_policy(const Surroundings& surroundings);

// Capabilities of root that let it open files whoever they belong to; others have none to keep.
std::uint64_t file_capabilities();

// Confines the calling thread, and all that it starts from now on. Nothing is done when LEAT_SANDBOX=off.
[[nodiscard]] Result<void> confine(const Policy& policy);

}  // namespace leat::stage
