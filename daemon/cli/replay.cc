#include <fmt/format.h>

#include <cstdio>
#include <optional>
#include <utility>

#include "daemon/cli/commands.h"
#include "daemon/cli/execute.h"
#include "daemon/plan/plan.h"
#include "daemon/plan/state.h"
#include "daemon/replay/folder.h"
#include "daemon/replay/pipeline.h"
#include "proto/base/human.h"
#include "proto/base/text.h"
#include "workers/ledger/ledger.h"
#include "workers/ledger/state_folder.h"
#include "workers/stage/limits.h"

namespace leat::cli {

namespace {

tl::unexpected<Error> refuse(std::string text, int exit_code) {
  return fail(Fault::kFatal, std::move(text), exit_code);
}

bool holds(const std::string& path, std::string_view placeholder) {
  return path.find(placeholder) != std::string::npos;
}

// Where the records of a replay go: beside those of the pipeline, never into one of its files, which are whole and stay so.
Result<replay::Replay> new_replay(const ReplayOptions& options, const config::Pipeline& pipeline) {
  replay::Replay replay;
  replay.id = plan::new_run_id();
  replay.dead_letter = pipeline.dead_letter_path;
  replay.sink = pipeline.sink.path;
  if (!options.output.empty()) {
    replay.sink = plan::absolute(options.output);
    if (plan::is_volatile(replay.sink)) {
      return refuse(
          fmt::format("--output {}: only a replay into a file can be continued", printable(replay.sink)),
          kExitUsage);
    }
    replay.keep_rotate = holds(replay.sink, "{n}");
    return replay;
  }
  if (holds(replay.sink, "{stem}") || holds(replay.sink, "{path}")) return replay;
  if (std::size_t n = replay.sink.find("{n}"); n != std::string::npos) {
    replay.sink.insert(n, "replay-" + replay.id + "-");
    return replay;
  }
  return refuse(
      fmt::format("{} is one file, and once published nothing can be added to it; say where the replayed "
                  "records go with --output PATH (or give sink.path a placeholder: {{n}}, {{stem}})",
                  printable(replay.sink)),
      kExitUsage);
}

Result<replay::Replay> take_up_or_begin(const ReplayOptions& options, const plan::Plan& plan,
                                        const std::string& state) {
  auto going = replay::unfinished_replay(state, plan.pipeline.name);
  if (!going) return tl::unexpected(going.error());
  if (*going) {
    fmt::print(stderr, "leat: continuing the replay {} of {}\n", (*going)->id, printable((*going)->aside));
    bool other = !options.file.empty() ||
                 (!options.output.empty() && plan::absolute(options.output) != (*going)->sink);
    if (!other) return **std::move(going);
    return refuse("that one has to end first: run it without --file and --output", kExitUsage);
  }
  auto replay = new_replay(options, plan.pipeline);
  if (!replay) return replay;
  std::string file = options.file.empty() ? plan.pipeline.dead_letter_path : plan::absolute(options.file);
  auto begun = replay::begin_replay(state, plan.pipeline.name, file, *std::move(replay));
  if (!begun || begun->letters > 0) return begun;
  return refuse(begun->kept == 0
                    ? fmt::format("there are no dead letters in {}", printable(file))
                    : fmt::format("none of the {} lines of {} can be fed again: their records are not in the "
                                  "file, only where they are",
                                  exact_count(begun->kept), printable(file)),
                kExitNoInput);
}

// A run over all of the replay's records, in a state of its own.
Result<supervisor::Job> job_of(const ReplayOptions& options, const plan::Plan& plan,
                               const replay::Replay& replay, const Manner& manner) {
  auto pipeline = replay::changed_pipeline(
      plan.pipeline, {replay.source(), replay.dead_file(), replay.sink, replay.keep_rotate});
  if (!pipeline) return tl::unexpected(pipeline.error());
  plan::Plan changed = plan;
  changed.pipeline = *std::move(pipeline);
  supervisor::Job job = job_for(changed, manner);
  job.run = plan::new_run_id();
  job.state = replay.folder;
  job.force = options.run.force;
  job.accept_changes = options.run.accept_changes;
  return job;
}

// Has everything gone through? The ledger knows better than an exit code.
bool all_done(const replay::Replay& replay) {
  auto view = ledger::View::open(replay.folder);
  if (!view || !*view) return false;
  auto source = (*view)->source_at(replay.source());
  return source && *source && (*source)->state == ledger::SourceState::kDone;
}

int finish(const std::string& state, const plan::Plan& plan, const replay::Replay& replay, bool quiet) {
  auto letters = replay::end_replay(state, plan.pipeline.name, replay);
  if (!letters) return fail_with(letters.error());
  if (quiet) return kExitOk;
  fmt::print(stderr, "leat: {} replayed; now in {}: {}", counted(replay.letters, "dead letter"),
             printable(replay.dead_letter), exact_count(*letters));
  if (replay.kept > 0) {
    fmt::print(stderr, " ({} of them because their records were not in the file)", exact_count(replay.kept));
  }
  fmt::print(stderr, "\nleat: the old file is {}; it is not needed any more\n", printable(replay.aside));
  return kExitOk;
}

Result<void> check(const plan::Plan& plan) {
  if (plan.pipeline.dead_letter_path.empty()) {
    return refuse("the pipeline has no dead_letter.path, so letters that come again would have no place",
                  kExitConfig);
  }
  return {};
}

}  // namespace

int replay(const ReplayOptions& options) {
  plan::Plan plan = plan::load_plan(options.run.pipeline);
  for (const auto& problem : plan.problems) fmt::print(stderr, "{}\n", to_string(problem));
  if (!plan.problems.empty()) return kExitConfig;
  if (auto good = check(plan); !good) return fail_with(good.error());
  if (auto allowed = stage::allow_descriptors(stage::descriptors_for(plan.pipeline)); !allowed)
    return fail_with(allowed.error());
  const int processors = plan.pipeline.has_processors() ? plan.pipeline.process.workers.max : 0;
  if (auto allowed = stage::allow_tasks(stage::tasks_for(plan.pipeline, processors)); !allowed)
    return fail_with(allowed.error());

  Manner manner{false, options.run.json, options.run.quiet, options.run.runtime_dir,
                plan.pipeline.dead_letter_path};
  Progress progress(Progress::mode_for_stderr(options.run.quiet));
  std::string state = options.run.state.empty() ? ledger::default_state_folder(plan.pipeline.name)
                                                : plan::absolute(options.run.state);
  std::string warning;
  auto ready = ledger::prepare_state_folder(state, warning);
  if (!ready) return fail_with(ready.error());
  if (!warning.empty()) progress.warning("state", warning);
  auto lock = ledger::RunLock::take(state, plan.pipeline.file);
  if (!lock) return fail_with(lock.error());

  manner.state_option = ledger::state_option(state, plan.pipeline.name);
  auto begun = take_up_or_begin(options, plan, state);
  if (!begun) return fail_with(begun.error());
  if (!all_done(*begun)) {
    auto job = job_of(options, plan, *begun, manner);
    if (!job) return fail_with(job.error());
    Summary summary = execute(*job, manner, progress);
    if (summary.exit_code != kExitOk || !all_done(*begun)) {
      fmt::print(stderr, "leat: the replay is not complete: leat dead replay {}{} continues it\n",
                 printable(plan.pipeline.file), printable(manner.state_option));
      return summary.exit_code != kExitOk ? summary.exit_code : int{kExitIo};
    }
  }
  return finish(state, plan, *begun, options.run.quiet);
}

}  // namespace leat::cli
