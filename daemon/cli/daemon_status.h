// What leatd says of itself and its pipelines, as a person reads it.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "proto/base/result.h"

namespace leat::cli {

struct WorkerStatus {
  std::string role, kind, state, activity;
  std::uint64_t index = 0, pid = 0, records = 0, memory_bytes = 0;
  double state_seconds = 0;
  double busy = 0, blocked = 0, idle = 0;  // shares, 0 to 1
};
struct EventStatus {
  std::string time, level, event, text;
};
struct PipelineStatus {
  std::string name, file, state, message, bottleneck;
  double state_seconds = 0;
  std::uint64_t in = 0, kept = 0, dropped = 0, dead = 0, bytes_in = 0;
  double records_per_s = 0, bytes_per_s = 0;
  std::uint64_t sources = 0, sources_done = 0, sources_failed = 0;
  std::uint64_t epoch = 0, window_batches = 0, memory_bytes = 0;
  struct {
    std::uint64_t own = 0, joined = 0, wanted = 0, min = 0, max = 0;
    bool automatic = false;
  } processors;
  std::vector<WorkerStatus> workers;
  std::vector<EventStatus> events;
};
struct LeatdStatus {
  std::string version, since;
  std::uint64_t pid = 0;
  std::vector<PipelineStatus> pipelines;
};

// What is missing in it is 0 or empty: a leatd may be older than we are. kFatal: it is no such object.
[[nodiscard]] Result<LeatdStatus> parse_leatd_status(std::string_view data);

// Lines of at most `width` columns, but for what leatd says in words and its events. unicode: block elements may be used.
std::string to_text(const LeatdStatus& status, std::size_t width, bool unicode);

}  // namespace leat::cli
