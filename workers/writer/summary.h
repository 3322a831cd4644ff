// What a run has come to: the details of the writer's last report, one JSON object (PROTOCOL.md).
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "workers/ledger/ledger.h"
#include "workers/writer/publisher.h"

namespace leat::writer {

struct Summary {
  bool stopped = false;
  bool resumed = false;                  // it continued with sources of an earlier run
  ledger::Run run;                       // of all its epochs
  std::uint64_t already_done = 0;        // sources that match and were done before it
  std::int64_t last_done_s = 0;          // when one was done last; 0: never
  std::uint64_t outputs_count = 0;       // published in it
  std::uint64_t outputs_empty = 0;       // of these, without a record
  std::vector<Published> outputs;        // the first of them
  std::string dead_letter_path;          // empty: none
  std::vector<ledger::Source> problems;  // failed and changed in it, the first of them
};

inline constexpr std::size_t kOutputsListed = 1000;  // the report has a cap (proto/control.h)
inline constexpr std::size_t kProblemsListed = 100;  // of each kind

std::string to_json(const Summary& summary);

}  // namespace leat::writer
