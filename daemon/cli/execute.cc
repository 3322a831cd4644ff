#include "daemon/cli/execute.h"

#include <fmt/format.h>

#include <cstdio>
#include <stdexcept>
#include <utility>

#include "config/fingerprint.h"
#include "daemon/supervisor/process.h"
#include "daemon/supervisor/runtime_folder.h"
#include "proto/base/human.h"
#include "proto/base/text.h"

namespace leat::cli {

supervisor::Job job_for(const plan::Plan& plan, const Manner& manner) {
  supervisor::Job job;
  job.pipeline = plan.pipeline;
  job.in_file_bytes = plan.in_file_bytes;
  job.fingerprint = config::fingerprint(plan.pipeline);
  job.program_folder = supervisor::own_folder();
  job.runtime_root = manner.runtime_dir;
  return job;
}

Summary execute(const supervisor::Job& job, const Manner& manner, Progress& progress) {
  supervisor::Outcome outcome;
  try {
    outcome = supervisor::run_in_foreground(job, progress);
  } catch (const supervisor::FolderError& error) {
    outcome.exit_code = manner.runtime_dir.empty() || error.full() ? kExitIo : kExitUsage;
    outcome.failure = error.what();
  } catch (const std::runtime_error& error) {
    outcome.exit_code = kExitBug;
    outcome.failure = error.what();
  }
  progress.clear();
  Summary summary = summarise(job.pipeline.name, outcome, manner.strict);
  summary.volatile_state = job.volatile_state;
  summary.forced = job.force;
  summary.state_option = manner.state_option;
  summary.once = job.fresh || !job.reread.empty();
  if (!manner.dead_letter.empty()) summary.counts.dead_letter.path = manner.dead_letter;
  if (!manner.quiet) fmt::print(stderr, "{}", to_text(summary));
  if (!summary.failure.empty()) fmt::print(stderr, "leat: {}\n", printable(summary.failure));
  if (summary.exit_code == kExitStrict) {
    fmt::print(stderr, "leat: {} (--strict)\n", counted(summary.counts.dead, "dead letter"));
  }
  if (manner.json) {
    fmt::print("{}", to_json(summary));
    if (std::fflush(stdout) != 0) summary.exit_code = kExitIo;
  }
  return summary;
}

}  // namespace leat::cli
