// What the supervisor and its workers say to each other: JSON over DEALER (worker) and ROUTER (supervisor).
//
//   worker                     supervisor
//   hello   ------------------>             who I am
//           <------------------ welcome     the pipeline, the endpoints, the window
//           <------------------ stop        finish what is in the window (reader), or leave now (everyone)
//   report  ------------------>             a warning, a failure that ends the run, or the end of the work
//
// PROTOCOL.md names every key. Unknown keys are ignored, unknown types refused; messages are capped at
// kMaxControlBytes.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "proto/batch.h"
#include "proto/channel.h"
#include "proto/result.h"

namespace leat::proto {

inline constexpr std::size_t kMaxControlBytes = 4 * 1024 * 1024;

struct Hello {
  Stage role = Stage::kReader;
  std::uint32_t index = 0;  // among the workers of its stage, from 0
  std::int64_t pid = 0;
  std::string version;  // of the programs: all must be of one release
};

struct Welcome {
  std::uint64_t epoch = 0;
  std::string pipeline_file;  // where the text came from: relative paths start from its folder
  std::string pipeline_text;  // YAML, already validated by the supervisor
  std::uint64_t window_bytes = 0;
  std::uint32_t window_batches = 0;
  bool force = false;                // replace outputs that exist
  bool follow = false;               // go on looking for new files
  std::string input;                 // where this worker binds its PULL for batches; empty for the reader
  std::vector<std::string> outputs;  // the inputs of the next stage, by index; empty for the writer
  std::string credits;  // where this worker binds its PULL for credits; empty: it deals to no pool
  std::vector<std::string>
      credit_to;         // credits of the stage before, by Header::dealt_by; empty: none are wanted
  std::string accepted;  // reader: where it binds its PULL for accepted positions; writer: where it connects
};

struct Stop {
  bool drain = true;  // false: leave now
};

// Explicit values, never renumbered; on the wire by name.
enum class ReportKind : std::uint8_t { kReady = 1, kWarning = 2, kFailed = 3, kDone = 4 };

struct Report {
  ReportKind kind = ReportKind::kWarning;
  int exit_code = 0;    // kFailed
  std::string text;     // kWarning, kFailed: for a person
  std::string details;  // kDone, kReady: one JSON object, or empty
};

using Control = std::variant<Hello, Welcome, Stop, Report>;

Message encode(const Control& control);
[[nodiscard]] Result<Control> decode_control(std::string_view message);

}  // namespace leat::proto
