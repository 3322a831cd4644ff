// The account of a run: what the writer reported, put together with what the supervisor saw.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "daemon/supervisor/supervisor.h"

namespace leat::cli {

struct Summary {
  struct Output {
    std::string path;
    std::uint64_t bytes = 0;          // on disk
    std::uint64_t records_bytes = 0;  // uncompressed
  };
  struct BadSource {
    std::string path;
    std::uint64_t offset = 0;  // up to here its records were used
    std::string reason;
  };
  std::string pipeline;
  bool complete = false;  // the writer has given its account; the counts mean something
  bool stopped = false;
  bool volatile_state = false;     // the sink is a pipe or a device: the next run starts over
  bool forced = false;             // with --force: what it replaces is still there after a stop
  std::string state_option;        // " --state DIR", if the next run needs it
  bool once = false;               // with --fresh or --reread, which would start over again
  bool resumed = false;            // continued with what an earlier run had begun
  std::uint64_t already_done = 0;  // sources that match and were done before
  std::int64_t last_done_s = 0;    // when the last of these was, Unix time
  std::uint64_t in = 0, kept = 0, dropped = 0, dead = 0, out = 0, blank = 0;
  std::vector<Output> outputs;  // the first of them
  std::uint64_t outputs_count = 0;
  std::uint64_t outputs_empty = 0;
  std::string dead_letter_path;
  std::uint64_t dead_letters = 0;
  std::uint64_t sources_done = 0;
  std::uint64_t sources_failed = 0;  // these two may be more than the lists hold
  std::uint64_t sources_changed = 0;
  std::vector<BadSource> failed;
  std::vector<BadSource> changed;
  std::string failure;
  int exit_code = 0;
  supervisor::Snapshot run;
};

// strict: dead letters make exit code 65. Checks in = kept + dropped + dead once more: a sum that does not
// add up is a failure with exit code 70, as is an account that cannot be read.
Summary summarise(const std::string& pipeline, const supervisor::Outcome& outcome, bool strict);

std::string to_text(const Summary& summary);  // several lines, each with its newline
std::string to_json(const Summary& summary);  // one object in one line, with a newline

}  // namespace leat::cli
