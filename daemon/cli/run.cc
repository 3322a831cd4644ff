#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
#include <cstdio>
#include <iterator>
#include <stdexcept>

#include "config/keys.h"
#include "config/text.h"
#include "daemon/cli/commands.h"
#include "daemon/cli/plan.h"
#include "daemon/cli/progress.h"
#include "daemon/cli/summary.h"
#include "daemon/supervisor/process.h"
#include "daemon/supervisor/runtime_folder.h"

namespace leat::cli {

namespace {

int refuse(const Plan& plan) {
  for (const auto& problem : plan.problems) fmt::print(stderr, "{}\n", to_string(problem));
  return kExitConfig;
}

// May the sink and --json write to the same place?
bool sink_is_stdout(const std::string& path) {
  struct stat sink {
  }, out{};
  if (::stat(path.c_str(), &sink) != 0 || ::fstat(STDOUT_FILENO, &out) != 0) return false;
  return S_ISCHR(sink.st_mode) || S_ISFIFO(sink.st_mode)
             ? sink.st_dev == out.st_dev && sink.st_ino == out.st_ino && path.starts_with("/dev/") &&
                   path != "/dev/null"
             : path == "/dev/stdout" || path == "/dev/fd/1";
}

bool has_placeholder(const std::string& path) {
  const auto& all = config::names::kPlaceholders;
  return std::any_of(std::begin(all), std::end(all),
                     [&](std::string_view name) { return path.find(name) != std::string::npos; });
}

supervisor::Job job_of(const RunOptions& options, const Plan& plan) {
  supervisor::Job job;
  job.pipeline = plan.pipeline;
  job.pipeline_text = plan.text;
  job.window_bytes = plan.budget.window_bytes;
  job.window_batches = static_cast<std::uint32_t>(plan.budget.window_batches);
  job.force = options.force;
  job.follow = options.follow;
  job.program_folder = supervisor::own_folder();
  job.runtime_root = options.runtime_dir;
  return job;
}

}  // namespace

int run(const RunOptions& options) {
  Plan plan = load_plan(options.pipeline);
  if (!plan.problems.empty()) return refuse(plan);
  if (options.follow && !has_placeholder(plan.pipeline.sink.path)) {
    fmt::print(stderr, "{}: sink.path: --follow never ends, so the sink needs a placeholder ({}), got {}\n",
               options.pipeline, config::joined(config::names::kPlaceholders), plan.pipeline.sink.path);
    return kExitConfig;
  }
  if (options.json && sink_is_stdout(plan.pipeline.sink.path)) {
    fmt::print(stderr, "leat: the sink is stdout, so --json cannot write there too; leave --json out\n");
    return kExitUsage;
  }
  Progress progress(Progress::mode_for_stderr(options.quiet));
  supervisor::Outcome outcome;
  try {
    outcome = supervisor::Supervisor(job_of(options, plan), progress).run();
  } catch (const supervisor::FolderError& error) {
    outcome.exit_code = options.runtime_dir.empty() ? kExitIo : kExitUsage;
    outcome.failure = error.what();
  } catch (const std::runtime_error& error) {
    outcome.exit_code = kExitBug;
    outcome.failure = error.what();
  }
  progress.clear();
  Summary summary = summarise(plan.pipeline.name, outcome, options.strict);
  if (!options.quiet) fmt::print(stderr, "{}", to_text(summary));
  if (!summary.failure.empty()) fmt::print(stderr, "leat: {}\n", summary.failure);
  if (summary.exit_code == kExitStrict) {
    fmt::print(stderr, "leat: {} records are dead letters (--strict)\n", summary.dead);
  }
  if (options.json) {
    fmt::print("{}", to_json(summary));
    if (std::fflush(stdout) != 0) return kExitIo;
  }
  return summary.exit_code;
}

}  // namespace leat::cli
