// Carries a job out and gives its account: what `leat run` and `leat dead replay` have in common.
#pragma once

#include <string>

#include "daemon/cli/progress.h"
#include "daemon/cli/summary.h"
#include "daemon/plan/plan.h"
#include "daemon/supervisor/supervisor.h"

namespace leat::cli {

struct Manner {
  bool strict = false;
  bool json = false;   // the run summary goes to stdout as well
  bool quiet = false;  // neither progress nor summary
  std::string runtime_dir;
  std::string dead_letter;        // where dead letters are in the end; empty: where the pipeline says
  std::string state_option = {};  // Summary::state_option
};

// A job for this pipeline on this machine; state and what is to be done to it are the caller's to fill in.
supervisor::Job job_for(const plan::Plan& plan, const Manner& manner);

// Runs it, says how it ended on stderr and, with json, stdout. The summary's exit code is the program's.
Summary execute(const supervisor::Job& job, const Manner& manner, Progress& progress);

}  // namespace leat::cli
