// What is to be said of a running pipeline on request: read from the workers' pages, no worker is asked and nothing is
// waited for.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "daemon/supervisor/layout.h"
#include "daemon/supervisor/snapshot.h"

namespace leat::supervisor {

enum class Phase : std::uint8_t { kStarting, kRunning, kWaiting, kPaused, kDraining, kStopping };
std::string_view to_string(Phase phase);

struct WorkerStatus {
  Slot slot;
  std::uint32_t instance = 0;
  std::int64_t pid = 0;
  bool joined = false;
  std::string state;         // starting, busy, blocked, idle, leaving, gone, stopped (SIGSTOP)
  double state_seconds = 0;  // since the state last changed
  std::string activity;      // in words: "read() of /mnt/nas/a.jsonl"
  StageShares shares;        // of the last second
  std::uint64_t records = 0;
  std::uint64_t memory_bytes = 0;
};

struct Worker;
WorkerStatus status_of(const Worker& worker);
class Team;
std::string what_all_do(const Team& team);  // "reader-0 is idle, filter-0 is busy"

struct PoolStatus {
  int own = 0;
  int joined = 0;
  int wanted = 0;  // own ones
  int min = 0;
  int max = 0;
  bool automatic = false;
};

struct Status {
  Phase phase = Phase::kStarting;
  std::string message;  // what is wrong, or what it waits for; empty: all is well
  Snapshot totals;
  std::string bottleneck;  // the stage that holds the others up; empty: none does
  std::uint64_t epoch = 0;
  std::uint64_t window_batches = 0;
  std::uint64_t memory_bytes = 0;
  PoolStatus pool;
  std::vector<WorkerStatus> workers;
};

}  // namespace leat::supervisor
