#include <fmt/format.h>
#include <sys/stat.h>

#include <cstdio>
#include <optional>

#include "daemon/cli/commands.h"
#include "daemon/cli/execute.h"
#include "daemon/cli/leatd.h"
#include "daemon/cli/progress.h"
#include "daemon/plan/plan.h"
#include "daemon/plan/state.h"
#include "daemon/plan/surroundings.h"
#include "daemon/replay/folder.h"
#include "workers/ledger/state_folder.h"
#include "workers/stage/limits.h"

namespace leat::cli {

namespace {

int refuse(const plan::Plan& plan) {
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

Manner manner_of(const RunOptions& options) {
  return {options.strict, options.json, options.quiet, options.runtime_dir, ""};
}

// The state folder is ours for as long as the lock lives. Nothing of a run into a pipe can be continued, so it has none.
Result<std::optional<ledger::RunLock>> take_state(const RunOptions& options, supervisor::Job& job,
                                                  Progress& progress) {
  job.volatile_state = plan::is_volatile(job.pipeline.sink.path);
  if (job.volatile_state) return std::nullopt;
  job.state =
      options.state.empty() ? ledger::default_state_folder(job.pipeline.name) : plan::absolute(options.state);
  std::string warning;
  LEAT_TRY(ledger::prepare_state_folder(job.state, warning));
  if (!warning.empty()) progress.warning("state", warning);
  auto lock = LEAT_TRY(ledger::RunLock::take(job.state, job.pipeline.file));
  // One that was killed at its end has letters to bring to the dead-letter file before this run appends to it.
  auto unfinished = LEAT_TRY(replay::unfinished_replay(job.state, job.pipeline.name));
  if (unfinished) {
    progress.note("state",
                  fmt::format("a replay of dead letters was interrupted: leat dead replay {}{} continues it",
                              job.pipeline.file, ledger::state_option(job.state, job.pipeline.name)));
  }
  return std::optional(std::move(lock));
}

supervisor::Job job_of(const RunOptions& options, const plan::Plan& plan) {
  supervisor::Job job = job_for(plan, manner_of(options));
  job.force = options.force;
  job.follow = options.follow;
  job.run = plan::new_run_id();
  job.fresh = options.fresh;
  job.accept_changes = options.accept_changes;
  for (const auto& path : options.reread) job.reread.push_back(plan::absolute(path));
  return job;
}

}  // namespace

int run(const RunOptions& options) {
  plan::Plan plan = plan::load_plan(options.pipeline);
  if (!plan.problems.empty()) return refuse(plan);
  std::string text = plan::wrong_with_following("--follow", plan.pipeline.sink.path);
  if (options.follow && !text.empty()) {
    fmt::print(stderr, "{}\n",
               to_string(config::Problem{options.pipeline, {}, "sink.path", std::move(text)}));
    return kExitConfig;
  }
  if (options.json && sink_is_stdout(plan.pipeline.sink.path)) {
    fmt::print(stderr, "leat: the sink is stdout, so --json cannot write there too; remove --json\n");
    return kExitUsage;
  }
  if (std::string name = pipeline_of_leatd(options.pipeline); !name.empty()) {
    return fail_with({Fault::kFatal,
                      fmt::format("leatd runs {}: leat status {} shows it, and leat stop {} ends it",
                                  options.pipeline, name, name),
                      kExitConfig});
  }
  if (auto allowed = stage::allow_descriptors(stage::descriptors_for(plan.pipeline)); !allowed)
    return fail_with(allowed.error());
  const int processors =
      options.follow ? plan.pipeline.process.workers.min : plan.pipeline.process.workers.max;
  const int tasks = stage::tasks_for(plan.pipeline, plan.pipeline.has_processors() ? processors : 0);
  if (auto allowed = stage::allow_tasks(tasks); !allowed) return fail_with(allowed.error());
  Progress progress(Progress::mode_for_stderr(options.quiet));
  supervisor::Job job = job_of(options, plan);
  auto lock = take_state(options, job, progress);
  if (!lock) return fail_with(lock.error());
  Manner manner = manner_of(options);
  if (!job.volatile_state) manner.state_option = ledger::state_option(job.state, job.pipeline.name);
  const Summary summary = execute(job, manner, progress);
  if (*lock && !summary.failure.empty()) (*lock)->failed(job.run, summary.exit_code, summary.failure);
  return summary.exit_code;
}

}  // namespace leat::cli
