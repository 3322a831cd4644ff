// What is to be said of a running pipeline on request: read from the workers' pages, no worker is asked and nothing is
// waited for.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "daemon/supervisor/layout.h"
#include "daemon/supervisor/snapshot.h"
#include "proto/status.h"

namespace leat::supervisor {

enum class Phase : std::uint8_t { kStarting, kRunning, kWaiting, kPaused, kDraining, kStopping };
std::string_view to_string(Phase phase);

struct Worker;
proto::WorkerStatus status_of(const Worker& worker);
class Team;
std::string what_all_do(const Team& team);  // "reader-0 is idle, filter-0 is busy"

struct Status {
  Phase phase = Phase::kStarting;
  std::string message;  // what is wrong, or what it waits for; empty: all is well
  Snapshot totals;
  std::string bottleneck;  // the stage that holds the others up; empty: none does
  std::uint64_t epoch = 0;
  std::uint64_t window_batches = 0;
  std::uint64_t memory_bytes = 0;
  proto::PoolStatus pool;
  std::vector<proto::WorkerStatus> workers;
};

}  // namespace leat::supervisor
