// The summary of a run: what the writer reported, put together with what the supervisor saw.
#pragma once

#include <string>

#include "daemon/supervisor/supervisor.h"
#include "proto/run_summary.h"

namespace leat::cli {

struct Summary {
  std::string pipeline;
  bool complete = false;  // the writer has reported; the counts mean something
  proto::RunSummary counts;
  bool volatile_state = false;  // the sink is a pipe or a device: the next run starts over
  bool forced = false;          // with --force: what it replaces is still there after a stop
  std::string state_option;     // " --state DIR", if the next run needs it
  bool once = false;            // with --fresh or --reread, which would start over again
  std::string failure;
  int exit_code = 0;
  supervisor::Snapshot run;
};

// strict: dead letters make exit code 65. Checks in = kept + dropped + dead once more: a sum that does not
// add up is a failure with exit code 70, as is a report that cannot be read.
Summary summarise(const std::string& pipeline, const supervisor::Outcome& outcome, bool strict);

std::string to_text(const Summary& summary);  // several lines, each with its newline
std::string to_json(const Summary& summary);  // one object in one line, with a newline

}  // namespace leat::cli
