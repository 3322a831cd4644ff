#include "workers/stage/limits.h"

#include <fmt/format.h>
#include <pthread.h>
#include <sys/resource.h>

#include <algorithm>
#include <cstring>
#include <latch>
#include <vector>

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

int tasks_for(const config::Pipeline& pipeline, int processors) {
  constexpr int kWorker = 1 + kTasksOfSockets;
  constexpr int kProgram = 2;  // with its keeper
  const auto& steps = pipeline.process.steps;
  const auto programs = std::count_if(steps.begin(), steps.end(),
                                      [](const config::Step& step) { return !step.command.empty(); });
  const int reader = kWorker + 1;
  const int writer = kWorker + pipeline.sink.threads;
  return kTasksOfSockets + reader + writer + kWorker * pipeline.filter.workers +
         (kWorker + kProgram * static_cast<int>(programs)) * processors;
}

namespace {

void* wait_for_end(void* gate) {
  static_cast<std::latch*>(gate)->wait();
  return nullptr;
}

}  // namespace

Result<void> allow_tasks(int needed) {
  constexpr std::size_t kStackBytes = 64 * 1024;
  std::latch gate(1);
  pthread_attr_t attributes;
  ::pthread_attr_init(&attributes);
  ::pthread_attr_setstacksize(&attributes, kStackBytes);
  std::vector<pthread_t> threads(static_cast<std::size_t>(needed));
  std::size_t started = 0;
  int error = 0;
  while (error == 0 && started < threads.size()) {
    error = ::pthread_create(&threads[started], &attributes, wait_for_end, &gate);
    started += error == 0 ? 1 : 0;
  }
  gate.count_down();
  for (std::size_t i = 0; i < started; ++i) ::pthread_join(threads[i], nullptr);
  ::pthread_attr_destroy(&attributes);
  if (error == 0) return {};
  return fail(
      Fault::kRetry,
      fmt::format("{} more processes and threads are needed and {} can be started: {}; raise the limit "
                  "(ulimit -u counts all of this user; of a unit: TasksMax=)",
                  needed, started, std::strerror(error)),
      kExitIo);
}

}  // namespace leat::stage
