// What a run has done up to now: the pages of all workers added up.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "daemon/supervisor/layout.h"
#include "workers/stage/page.h"

namespace leat::supervisor {

// A number on a page: its worker may be changing it.
template <class T>
T read(const std::atomic<T>& field) {
  return field.load(std::memory_order_relaxed);
}

// Shares of the time since the stage had started up, 0 to 1, mean over its workers. All 0 before that.
struct StageShares {
  proto::Stage stage = proto::Stage::kReader;
  int workers = 0;
  double busy = 0;
  double blocked = 0;  // had work, but the next stage (or the window) had no room
  double idle = 0;
};

struct Snapshot {
  double seconds = 0;  // since the first batch may have been read
  std::uint64_t records_in = 0;
  std::uint64_t kept = 0;
  std::uint64_t dropped = 0;
  std::uint64_t dead = 0;
  std::uint64_t bytes_in = 0;          // of records, uncompressed
  std::uint64_t disk_bytes = 0;        // read, as they lie on disk
  std::uint64_t total_disk_bytes = 0;  // of all files that match
  std::uint64_t sources_total = 0;
  std::uint64_t sources_done = 0;
  std::uint64_t sources_failed = 0;
  std::uint64_t peak_memory_bytes = 0;  // PSS of all our processes together, the largest sample
  std::string reader_text;              // what the reader is at
  std::vector<StageShares> stages;      // in order; only those that take part
};

// Adds one worker's page to the totals (not to the shares).
void add_page(Snapshot& snapshot, proto::Stage stage, const stage::MappedPage& page);

// Nanoseconds spent in each Activity up to `now_ns` (CLOCK_MONOTONIC), the one under way included.
std::array<std::uint64_t, 4> activity_totals(const stage::MappedPage& page, std::uint64_t now_ns);
// How the time between two such totals was spent, of one worker.
StageShares shares_between(proto::Stage stage, const std::array<std::uint64_t, 4>& before,
                           const std::array<std::uint64_t, 4>& after);

// Puts the shares of single workers together by stage, in the order in which they come.
std::vector<StageShares> mean_by_stage(const std::vector<StageShares>& workers);

// The stage with the largest busy share, or nullptr when there is none.
const StageShares* busiest(const std::vector<StageShares>& stages);

}  // namespace leat::supervisor
