#include "workers/stage/limits.h"

#include <fmt/format.h>
#include <sys/resource.h>

#include <algorithm>

namespace leat::stage {

namespace {

std::uint64_t for_workers(const config::Pipeline& pipeline) {
  constexpr std::uint64_t kForAWorker = 4;
  const int workers =
      pipeline.filter.workers + (pipeline.has_processors() ? pipeline.process.workers.max : 0);
  return kForAWorker * static_cast<std::uint64_t>(workers);
}

}  // namespace

std::uint64_t descriptors_for(const config::Pipeline& pipeline) {
  return 64 + for_workers(pipeline);
}

std::uint64_t descriptors_of_supervisor(const config::Pipeline& pipeline) {
  return 32 + for_workers(pipeline);
}

Result<void> allow_descriptors(std::uint64_t needed) {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur >= needed) return {};
  rlimit raised{std::min<rlim_t>(needed, limit.rlim_max), limit.rlim_max};
  if (raised.rlim_cur == needed && ::setrlimit(RLIMIT_NOFILE, &raised) == 0) return {};
  return fail(Fault::kFatal,
              fmt::format("{} open files are needed and {} are allowed: raise the limit (ulimit -n {}; of a "
                          "unit: LimitNOFILE={})",
                          needed, limit.rlim_max, needed, needed));
}

}  // namespace leat::stage
