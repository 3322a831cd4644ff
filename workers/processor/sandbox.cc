#include "workers/processor/sandbox.h"

#include <linux/capability.h>
#include <sys/socket.h>

#include "workers/processor/exec_sandbox.h"

namespace leat::processor {

// A domain is the intersection of all that were entered: so a processor with exec steps allows itself what its programs may
// do (exec_sandbox.cc), and what their keepers do at the end. One without opens nothing.
stage::Policy sandbox(const config::Pipeline& pipeline, const stage::Surroundings& surroundings) {
  stage::Policy policy = stage::worker_policy(surroundings);
  for (const auto& step : pipeline.process.steps) {
    if (step.op != config::Step::Op::kExec) continue;
    const stage::Policy program = policy_of(step, temp_root());
    policy.paths.insert(policy.paths.end(), program.paths.begin(), program.paths.end());
    policy.sockets = {AF_UNIX, AF_INET, AF_INET6, AF_NETLINK};
    policy.tcp = policy.run_programs = policy.start_processes = true;
    policy.change_attributes = true;  // of what a program leaves in its folder, to remove it
    policy.keep_capabilities = program.keep_capabilities | stage::file_capabilities();
  }
  return policy;
}

}  // namespace leat::processor
