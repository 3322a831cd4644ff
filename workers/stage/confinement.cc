#include "workers/stage/confinement.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/capability.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>

namespace leat::stage {

Policy worker_policy(const Surroundings& surroundings) {
  Policy policy;
  // Its page, the sockets it binds; a socket that a worker connects to needs no right.
  policy.paths.push_back({surroundings.runtime, kRead | kWrite | kMake | kRemove});
  policy.tcp = false;
  policy.sockets = {AF_UNIX};
  return policy;
}

std::uint64_t file_capabilities() {
  return 1ULL << CAP_DAC_OVERRIDE | 1ULL << CAP_DAC_READ_SEARCH | 1ULL << CAP_FOWNER | 1ULL << CAP_CHOWN;
}

Result<void> confine(const Policy& policy) {
  if (sandbox_is_off()) return {};
  auto sandbox = Sandbox::prepare(policy);
  if (!sandbox) return tl::unexpected(sandbox.error());
  // Whatever these are: a log, a pipe, the file that /dev/stdout means.
  for (int fd : {STDOUT_FILENO, STDERR_FILENO}) sandbox->allow(fd, kWrite);
  if (const int error = sandbox->enter(); error != 0) {
    return fail(Fault::kFatal, fmt::format("the sandbox cannot be entered: {}; LEAT_SANDBOX=off runs without",
                                           std::strerror(error)));
  }
  return {};
}

}  // namespace leat::stage
