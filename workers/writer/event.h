// What happens to a source, as the reader says it (proto/batch.h, BatchKind): one JSON object.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "proto/result.h"
#include "workers/ledger/ledger.h"

namespace leat::writer {

struct Event {
  std::string path;
  std::string reason;
  std::string from;    // moved
  std::string action;  // finished: "delete" or "move"
  std::string to;      // finished: where it was moved
  std::optional<std::uint64_t> size;
  std::optional<std::int64_t> mtime_ns;
  std::uint64_t head_hash = 0;
  std::uint32_t head_bytes = 0;
  bool retry = false;      // failed
  bool stopped = false;    // end of input
  std::uint64_t done = 0;  // end of input: sources that were done before
  ledger::Look look;
};

// A key that is missing, or of another type, leaves its member as it is. kFatal, 70: not a JSON object.
[[nodiscard]] Result<Event> decode_event(std::string_view json);

}  // namespace leat::writer
