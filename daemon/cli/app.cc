#include "daemon/cli/app.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <array>

#include "config/text.h"
#include "proto/result.h"

namespace leat::cli {

namespace {

constexpr std::array<std::string_view, 3> kCommands{"run", "check", "explain"};

constexpr const char* kExitCodes =
    "Exit codes: 0 done; 64 usage; 65 dead letters with --strict; 66 no input matched; 70 a bug;\n"
    "74 an I/O error, or a source that could not be read to its end; 75 stopped before the end; 78 bad "
    "configuration.";

constexpr const char* kRunExamples =
    "Progress and summary go to stderr. Ctrl-C finishes what is in the window; a second one stops at once.\n"
    "Examples:\n"
    "  leat run reviews.yaml\n"
    "  leat run reviews.yaml --force --strict        replace the output; fail when a record is a dead "
    "letter\n"
    "  leat run reviews.yaml --quiet --json | jq .in the account of the run as JSON\n";

CLI::App* add_run(CLI::App& app, RunOptions& options) {
  CLI::App* run = app.add_subcommand("run", "Run one pipeline in the foreground until its input is used up");
  run->add_option("PIPELINE", options.pipeline, "Pipeline file (YAML)")->required();
  run->add_flag("--follow", options.follow, "Keep watching for new files");
  run->add_flag("--force", options.force, "Replace outputs that exist");
  run->add_flag("--strict", options.strict, "Exit with 65 when records went to the dead-letter file");
  run->add_flag("--json", options.json, "Write the account of the run to stdout as one JSON object");
  run->add_flag("--quiet", options.quiet, "No progress and no summary, only warnings and errors");
  run->add_option(
         "--runtime-dir", options.runtime_dir,
         "Where sockets live while it runs (default: $XDG_RUNTIME_DIR/leat, /run/leat or /tmp/leat-UID)")
      ->type_name("DIR");
  run->footer(std::string(kRunExamples) + kExitCodes);
  return run;
}

CLI::App* add_check(CLI::App& app, CheckOptions& options) {
  CLI::App* check =
      app.add_subcommand("check", "Validate pipeline files and show every mistake with its place");
  check->add_option("PIPELINE", options.pipelines, "Pipeline files (YAML)")->required();
  check->add_flag("--json", options.json, "Write the findings to stdout as a JSON array");
  check->footer("Examples:\n  leat check reviews.yaml\n  leat check --json pipelines.d/*.yaml");
  return check;
}

CLI::App* add_explain(CLI::App& app, ExplainOptions& options) {
  CLI::App* explain = app.add_subcommand("explain", "Show what would run: stages, predicates, memory, files");
  explain->add_option("PIPELINE", options.pipeline, "Pipeline file (YAML)")->required();
  explain->add_flag("--json", options.json, "Write it to stdout as one JSON object");
  explain->footer("Examples:\n  leat explain reviews.yaml\n  leat explain reviews.yaml --json | jq .budget");
  return explain;
}

Answer usage_error(const std::string& text, const std::string& command) {
  return {kExitUsage,
          fmt::format("leat: {}\nleat: see leat{}{} --help\n", text, command.empty() ? "" : " ", command)};
}

// Something in the place of a command that is none.
bool unknown_command(const std::vector<std::string>& arguments) {
  return !arguments.empty() && !arguments[0].starts_with("-") &&
         std::find(kCommands.begin(), kCommands.end(), arguments[0]) == kCommands.end();
}

// The command whose help or hint is wanted, or "".
std::string chosen(const CLI::App& app) {
  auto commands = app.get_subcommands();
  return commands.empty() ? "" : commands.front()->get_name();
}

}  // namespace

Command parse_command_line(const std::vector<std::string>& arguments) {
  RunOptions run_options;
  CheckOptions check_options;
  ExplainOptions explain_options;
  CLI::App app("leat: filters, transforms and moves JSON Lines files in a fixed amount of memory", "leat");
  app.require_subcommand(1);
  app.set_version_flag("--version", std::string("leat ") + LEAT_VERSION);
  app.footer(std::string("leat COMMAND --help says more.\n") + kExitCodes);
  const CLI::App* run = add_run(app, run_options);
  const CLI::App* check = add_check(app, check_options);
  add_explain(app, explain_options);

  if (unknown_command(arguments)) {
    return usage_error(fmt::format("unknown command {}{}; there are: {}", config::quoted(arguments[0]),
                                   config::did_you_mean(arguments[0], kCommands), config::joined(kCommands)),
                       "");
  }
  try {
    // CLI11 takes them from the back.
    app.parse(std::vector<std::string>(arguments.rbegin(), arguments.rend()));
  } catch (const CLI::CallForVersion& version) {
    return Answer{kExitOk, std::string(version.what()) + "\n"};
  } catch (const CLI::CallForHelp&) {
    return Answer{kExitOk, app.help()};
  } catch (const CLI::ParseError& error) {
    return usage_error(arguments.empty() ? fmt::format("a command is needed: {}", config::joined(kCommands))
                                         : std::string(error.what()),
                       chosen(app));
  }
  if (run->parsed()) return run_options;
  if (check->parsed()) return check_options;
  return explain_options;
}

}  // namespace leat::cli
