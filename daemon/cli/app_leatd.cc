#include "daemon/cli/app_leatd.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <array>
#include <charconv>

#include "config/text.h"
#include "daemon/cli/usage.h"
#include "daemon/control/request.h"

namespace leat::cli {

namespace {

struct Verb {
  const char* command;
  const char* description;
  const char* footer;
};

constexpr std::array<Verb, 4> kVerbs{
    {{"pause", "Take in nothing new; what is under way is finished, the workers stay",
      "Example:\n  leat pause reviews"},
     {"resume", "Continue after pause, drain, stop or a failure", "Example:\n  leat resume --all"},
     {"drain", "Finish what is under way, commit, and end the workers; waits until that is done",
      "Example:\n  leat drain reviews"},
     {"stop",
      "Finish the records at hand, commit, and end the workers (a second time: at once); what is not "
      "committed "
      "comes again after resume",
      "Example:\n  leat stop reviews"}}};

constexpr std::array<std::string_view, 1> kRoles{"processor"};

constexpr const char* kAnswers =
    "Exits with 0 when it is done, 74 when no leatd answers, and as leatd says when that refuses.\n";

CLI::App* add_change(CLI::App& app, ChangeOptions& options, const Verb& verb) {
  CLI::App* command = app.add_subcommand(verb.command, verb.description);
  command->add_flag("--json", options.json, "Write what leatd answers to stdout as JSON");
  add_leatds_folder(command, options.runtime_dir);
  command->footer(std::string(kAnswers) + verb.footer);
  command->parse_complete_callback([&options, command = verb.command] { options.command = command; });
  return command;
}

std::string workers_of(const std::string& text, std::optional<std::uint32_t>& workers) {
  if (text == "auto") return "";
  std::uint32_t number = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size() || number > control::kMaxWorkers) {
    return fmt::format("expected a number from 0 to {}, or auto; got {}", control::kMaxWorkers,
                       config::in_quotes(text));
  }
  workers = number;
  return "";
}

void add_scale(CLI::App& app, ChangeOptions& options) {
  CLI::App* scale =
      add_change(app, options,
                 {"scale", "Set how many processors a pipeline has, while it runs",
                  "Examples:\n  leat scale reviews processor 6\n  leat scale reviews processor auto"});
  scale->add_option("NAME", options.pipeline, "Pipeline of leatd")->required();
  scale
      ->add_option_function<std::string>(
          "ROLE", [](const std::string&) {}, "processor")
      ->required()
      ->check(one_of(kRoles));
  scale
      ->add_option_function<std::string>(
          "WORKERS", [](const std::string&) {}, "How many; auto: leatd decides, as the pipeline file allows")
      ->required()
      ->check(CLI::Validator([&options](std::string& text) { return workers_of(text, options.workers); },
                             "N|auto"));
}

}  // namespace

void add_leatds_folder(CLI::App* command, std::string& folder) {
  command
      ->add_option("--runtime-dir", folder, "Of the leatd to ask (default: $LEAT_RUNTIME_DIR or /run/leat)")
      ->type_name("DIR");
}

void add_changes(CLI::App& app, ChangeOptions& options) {
  add_scale(app, options);
  for (const Verb& verb : kVerbs) {
    CLI::App* command = add_change(app, options, verb);
    CLI::Option* name = command->add_option("NAME", options.pipeline, "Pipeline of leatd");
    command->add_flag("--all", options.all, "Every pipeline that leatd has")->excludes(name);
    command->callback([&options] {
      if (options.pipeline.empty() && !options.all) throw CLI::RequiredError("NAME or --all");
    });
  }
  add_change(app, options,
             {"reload", "Read the configuration again: what has changed is swapped, nothing else is touched",
              "A pipeline file with a mistake leaves the old one running.\nExample:\n  leat reload"});
}

}  // namespace leat::cli
