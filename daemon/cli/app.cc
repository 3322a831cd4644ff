#include "daemon/cli/app.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <array>
#include <charconv>
#include <utility>

#include "config/text.h"
#include "daemon/cli/app_leatd.h"
#include "daemon/cli/man.h"
#include "daemon/cli/usage.h"
#include "proto/base/result.h"

namespace leat::cli {

namespace {

constexpr std::array<std::string_view, 4> kStates{"reading", "done", "changed", "failed"};

constexpr const char* kExitCodes =
    "Exit codes: 0 done; 64 usage; 65 dead letters with --strict; 66 no input matched; 70 a bug;\n"
    "74 an I/O error, or a source that could not be read to its end; 75 stopped before the end; 78 bad "
    "configuration.";

constexpr const char* kFrom =
    "Pipeline file (.yaml, .yml), a dead-letter file, or the name of a pipeline that leatd has";

constexpr const char* kRunExamples =
    "Progress and summary go to stderr. Ctrl-C stops; what is done is kept.\n"
    "Run again, it continues where it was, whatever ended it.\n"
    "Examples:\n"
    "  leat run reviews.yaml\n"
    "  leat run reviews.yaml --force --strict        replace the output; fail when a record is a dead "
    "letter\n"
    "  leat run reviews.yaml --quiet --json | jq .in the run summary as JSON\n";

void add_state(CLI::App* command, std::string& folder) {
  command
      ->add_option("--state", folder,
                   "Where the ledger is kept (default: $STATE_DIRECTORY, $XDG_STATE_HOME/leat/NAME or "
                   "~/.local/state/leat/NAME)")
      ->type_name("DIR");
}

void add_runtime_dir(CLI::App* command, std::string& folder) {
  command
      ->add_option(
          "--runtime-dir", folder,
          "Where sockets live while it runs (default: $XDG_RUNTIME_DIR/leat, /run/leat-run or /tmp/leat-UID)")
      ->type_name("DIR");
}

CLI::App* add_run(CLI::App& app, RunOptions& options) {
  CLI::App* run = app.add_subcommand("run", "Run one pipeline in the foreground until the end of its input");
  run->add_option("PIPELINE", options.pipeline, "Pipeline file (YAML)")->required();
  run->add_flag("--follow", options.follow, "Keep watching for new files");
  run->add_flag("--force", options.force, "Replace outputs that exist");
  run->add_flag("--fresh", options.fresh, "Forget what earlier runs have done and read everything again");
  run->add_option("--reread", options.reread, "Read this source again from its beginning (may be repeated)")
      ->type_name("PATH")
      ->allow_extra_args(false);
  run->add_flag("--accept-changes", options.accept_changes,
                "Continue an interrupted run although filter, steps or sink are not what they were");
  run->add_flag("--strict", options.strict, "Exit with 65 when records went to the dead-letter file");
  run->add_flag("--json", options.json, "Write the run summary to stdout as one JSON object");
  run->add_flag("--quiet", options.quiet, "No progress and no summary, only warnings and errors");
  add_state(run, options.state);
  add_runtime_dir(run, options.runtime_dir);
  run->footer(std::string(kRunExamples) + kExitCodes);
  return run;
}

CLI::App* add_check(CLI::App& app, CheckOptions& options) {
  CLI::App* check =
      app.add_subcommand("check", "Validate pipeline files and show every mistake with line and column");
  check->add_option("PIPELINE", options.pipelines, "Pipeline files (YAML)")->required();
  check->add_flag("--for-service", options.for_service,
                  "As leatd's unit would run them: also what its sandbox does not allow");
  check->add_flag("--json", options.json, "Write the findings to stdout as a JSON array");
  check->footer(
      "Examples:\n  leat check reviews.yaml\n  leat check --for-service /etc/leat/pipelines.d/*.yaml");
  return check;
}

CLI::App* add_explain(CLI::App& app, ExplainOptions& options) {
  CLI::App* explain = app.add_subcommand("explain", "Show what would run: stages, predicates, memory, files");
  explain->add_option("PIPELINE", options.pipeline, "Pipeline file (YAML)")->required();
  explain->add_flag("--json", options.json, "Write it to stdout as one JSON object");
  explain->add_flag("--sandbox", options.sandbox, "Show what each worker may do, and nothing else")
      ->excludes("--json");
  explain->footer("Examples:\n  leat explain reviews.yaml\n  leat explain reviews.yaml --json | jq .budget");
  return explain;
}

// A pipeline, a state folder, or both; or the name of a pipeline of leatd.
void add_state_of(CLI::App* command, plan::StateOf& of, std::string& leatds_folder) {
  command->add_option("PIPELINE", of.pipeline,
                      "Pipeline file (YAML), not needed with --state; or the name of one that leatd has");
  add_state(command, of.state);
  add_leatds_folder(command, leatds_folder);
}

CLI::App* add_sources(CLI::App& app, SourcesOptions& options) {
  CLI::App* sources = app.add_subcommand("sources", "Show each source: state, position, counts, reason");
  add_state_of(sources, options.of, options.runtime_dir);
  sources->callback([&options] {
    if (options.of.pipeline.empty() && options.of.state.empty())
      throw CLI::RequiredError("PIPELINE or --state DIR");
  });
  sources
      ->add_option("--state-filter", options.state_filter,
                   "Only those that are reading, done, changed or failed")
      ->type_name("STATE")
      ->check(one_of(kStates));
  sources->add_flag("--json", options.json, "Write them to stdout as JSON Lines, one object a source");
  sources->footer(
      "Works during a run. Exits with 66 when there is none to show.\n"
      "Examples:\n  leat sources reviews.yaml --state-filter failed\n  leat sources reviews.yaml --json | jq "
      "-r .path\n  leat sources reviews                          of the reviews that leatd runs");
  return sources;
}

CLI::App* add_status(CLI::App& app, StatusOptions& options) {
  CLI::App* status = app.add_subcommand("status", "Show what leatd does, or what a pipeline file has done");
  add_state_of(status, options.of, options.runtime_dir);
  status->add_flag("--json", options.json, "Write it to stdout as one JSON object");
  status->footer(
      "Without a file or --state it asks leatd, about all of its pipelines or the one that is named.\n"
      "Examples:\n  leat status\n  leat status reviews\n  leat status reviews.yaml\n  leat status --state "
      "/var/lib/leat/reviews --json | jq .sources");
  return status;
}

CLI::App* add_dead_list(CLI::App& dead, DeadOptions& options) {
  CLI::App* list = dead.add_subcommand("ls", "List dead letters");
  list->add_option("FROM", options.from, kFrom)->required();
  list->add_flag("--json", options.json, "Write them to stdout as JSON Lines, each with its number");
  add_leatds_folder(list, options.runtime_dir);
  list->footer(
      "Exits with 66 when there are none.\nExamples:\n  leat dead ls reviews.yaml\n  leat dead ls "
      "old.dead.jsonl");
  return list;
}

CLI::App* add_dead_show(CLI::App& dead, DeadOptions& options) {
  CLI::App* show = dead.add_subcommand("show", "Show one dead letter and its record");
  show->add_option("FROM", options.from, kFrom)->required();
  show->add_option("N", options.number, "Its number, as ls shows it")
      ->required()
      ->check(CLI::Validator(
          [](std::string& text) {
            std::uint64_t number = 0;
            auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
            bool good = error == std::errc() && end == text.data() + text.size() && number > 0;
            return good ? std::string()
                        : fmt::format("expected a number of leat dead ls, from 1; got {}",
                                      config::in_quotes(text));
          },
          ""));
  show->add_flag("--record", options.record_only, "Write the record's bytes to stdout and nothing else");
  show->add_flag("--json", options.json, "Write the letter to stdout as one JSON object");
  add_leatds_folder(show, options.runtime_dir);
  show->footer("Examples:\n  leat dead show reviews.yaml 3\n  leat dead show reviews.yaml 3 --record | jq .");
  return show;
}

CLI::App* add_replay(CLI::App& dead, ReplayOptions& options) {
  CLI::App* replay = dead.add_subcommand("replay", "Feed dead letters through the pipeline again, each once");
  replay->add_option("PIPELINE", options.run.pipeline, "Pipeline file (YAML)")->required();
  replay->add_option("--file", options.file, "The dead-letter file (default: dead_letter.path)")
      ->type_name("FILE");
  replay
      ->add_option("--output", options.output,
                   "Where the records go (needed when sink.path has neither {n} nor {stem} nor {path})")
      ->type_name("PATH");
  replay->add_flag("--force", options.run.force, "Replace outputs that exist");
  replay->add_flag("--accept-changes", options.run.accept_changes,
                   "Continue an interrupted replay although filter, steps or sink are not what they were");
  replay->add_flag("--json", options.run.json, "Write the run summary to stdout as one JSON object");
  replay->add_flag("--quiet", options.run.quiet, "No progress and no summary, only warnings and errors");
  add_state(replay, options.run.state);
  add_runtime_dir(replay, options.run.runtime_dir);
  replay->footer(
      "The file is moved to FILE.replay-RUN. Letters that come again, and those whose record is not in the "
      "file,\n"
      "are appended to dead_letter.path at the end, with the source and line they first came from. "
      "Interrupted,\n"
      "it continues when it is run again. Not while the pipeline runs.\n"
      "Example:\n  leat dead replay reviews.yaml --output /srv/out/replayed.jsonl.zst");
  return replay;
}

Answer usage_error(const std::string& text, const std::string& command) {
  return {kExitUsage, fmt::format("leat: {}\nleat: see {} --help\n", text, command)};
}

// The command that was meant, as far as it was found.
const CLI::App& chosen(const CLI::App& app) {
  auto commands = app.get_subcommands();
  return commands.empty() ? app : chosen(*commands.front());
}

void add_help(CLI::App& app, std::vector<std::string>& about) {
  CLI::App* help =
      app.add_subcommand("help", "Show what the man pages say, of a command or of the pipeline file");
  help->add_option("ABOUT", about,
                   "A command (run, dead show), pipeline (the file), leatd, or another man page");
  help->footer("Examples:\n  leat help run\n  leat help pipeline | less");
  app.add_subcommand("version", "Show the version");
}

Answer help(const std::vector<std::string>& about) {
  constexpr std::size_t kWidth = 100;
  const std::string subject = fmt::format("{}", fmt::join(about, " "));
  if (auto text = help_about(subject, kWidth)) return {kExitOk, *text};
  std::string pages;
  for (const ManPage& page : man_pages()) pages += fmt::format(", {}", page.name);
  return usage_error(fmt::format("there is no help about {}; there is about each command, pipeline{}",
                                 config::in_quotes(subject), pages),
                     "leat");
}

}  // namespace

Command parse_command_line(const std::vector<std::string>& arguments) {
  RunOptions run_options;
  CheckOptions check_options;
  ExplainOptions explain_options;
  SourcesOptions sources_options;
  StatusOptions status_options;
  DeadOptions list_options;
  DeadOptions show_options;
  show_options.show = true;
  ReplayOptions replay_options;
  ChangeOptions change_options;
  CLI::App app("leat: filters, transforms and moves JSON Lines files in a fixed amount of memory", "leat");
  app.require_subcommand(1);
  app.set_version_flag("-V,--version", std::string("leat ") + LEAT_VERSION);
  app.footer(
      std::string("leat COMMAND --help says more, leat help COMMAND all of it, and leat help pipeline\n"
                  "what a pipeline file may say.\n") +
      kExitCodes);
  const CLI::App* run = add_run(app, run_options);
  const CLI::App* check = add_check(app, check_options);
  const CLI::App* explain = add_explain(app, explain_options);
  const CLI::App* sources = add_sources(app, sources_options);
  const CLI::App* status = add_status(app, status_options);
  CLI::App* dead = app.add_subcommand("dead", "List, show and replay dead letters");
  dead->require_subcommand(1);
  dead->footer("leat dead COMMAND --help says more.");
  const CLI::App* list = add_dead_list(*dead, list_options);
  const CLI::App* show = add_dead_show(*dead, show_options);
  const CLI::App* replay = add_replay(*dead, replay_options);
  add_changes(app, change_options);
  std::vector<std::string> help_about_what;
  add_help(app, help_about_what);

  try {
    // CLI11 takes them from the back.
    std::vector<std::string> ordered = options_last(app, arguments);
    std::reverse(ordered.begin(), ordered.end());
    app.parse(std::move(ordered));
  } catch (const CLI::CallForVersion& version) {
    return Answer{kExitOk, std::string(version.what()) + "\n"};
  } catch (const CLI::CallForHelp&) {
    return Answer{kExitOk, app.help()};
  } catch (const CLI::ParseError& error) {
    const CLI::App& command = chosen(app);
    return usage_error(mistake(command, error), command_line_of(command));
  }
  if (app.got_subcommand("help")) {
    return help_about_what.empty() ? parse_command_line({"--help"}) : help(help_about_what);
  }
  if (app.got_subcommand("version")) return parse_command_line({"--version"});
  if (run->parsed()) return run_options;
  if (check->parsed()) return check_options;
  if (explain->parsed()) return explain_options;
  if (sources->parsed()) return sources_options;
  if (status->parsed()) return status_options;
  if (list->parsed()) return list_options;
  if (show->parsed()) return show_options;
  if (replay->parsed()) return replay_options;
  return change_options;
}

}  // namespace leat::cli
