#include "daemon/cli/usage.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <CLI/CLI.hpp>
#include <algorithm>

#include "config/text.h"
#include "proto/base/text.h"

namespace leat::cli {

namespace {

bool is_option(std::string_view word) {
  return word.size() > 1 && word.starts_with('-');
}

// Does an option of this name, of whatever command, take the next argument?
bool takes_value(const CLI::App& app, const std::string& name) {
  const CLI::Option* option = app.get_option_no_throw(name);
  if (option != nullptr && option->get_items_expected_max() > 0) return true;
  auto commands = app.get_subcommands([](const CLI::App*) { return true; });
  return std::any_of(commands.begin(), commands.end(),
                     [&](const CLI::App* command) { return takes_value(*command, name); });
}

std::vector<std::string> names_of_options(const CLI::App& command) {
  std::vector<std::string> names;
  for (const CLI::Option* option : command.get_options()) {
    for (const std::string& name : option->get_lnames()) names.push_back("--" + name);
  }
  return names;
}

std::vector<std::string> names_of_commands(const CLI::App& command) {
  std::vector<std::string> names;
  for (const CLI::App* below : command.get_subcommands([](const CLI::App*) { return true; })) {
    names.push_back(below->get_name());
  }
  return names;
}

std::string guess(std::string_view word, const std::vector<std::string>& names) {
  return config::did_you_mean(word, std::vector<std::string_view>(names.begin(), names.end()));
}

// An option or an argument that is missing, with what it is for.
std::string missing(const CLI::App& command, std::string_view what) {
  const std::string name(what.substr(0, what.find(" is required")));
  const CLI::Option* option = command.get_option_no_throw(name);
  std::string about = option == nullptr ? "" : ": " + option->get_description();
  return fmt::format("{} is missing{}", name, about);
}

}  // namespace

std::string command_line_of(const CLI::App& command) {
  const CLI::App* above = command.get_parent();
  return above == nullptr ? command.get_name() : command_line_of(*above) + " " + command.get_name();
}

std::vector<std::string> options_last(const CLI::App& app, std::vector<std::string> arguments) {
  auto at = arguments.begin();
  while (at != arguments.end() && is_option(*at) && *at != "--") {
    const bool alone = app.get_option_no_throw(*at) != nullptr;  // --help, --version: of leat itself
    if (alone) return arguments;
    const bool value = at->find('=') == std::string::npos && takes_value(app, *at);
    ++at;
    if (value && at != arguments.end()) ++at;
  }
  if (at == arguments.end()) return arguments;  // no command
  auto end = std::find(at, arguments.end(), "--");
  std::rotate(arguments.begin(), at, end);
  return arguments;
}

std::string mistake(const CLI::App& command, const CLI::Error& error) {
  const std::vector<std::string> unknown = command.remaining();
  const std::vector<std::string> commands = names_of_commands(command);
  if (!commands.empty() && (unknown.empty() || !is_option(unknown.front()))) {
    const std::string there_are = fmt::format("{}", fmt::join(commands, ", "));
    if (unknown.empty()) return fmt::format("{} needs a command: {}", command_line_of(command), there_are);
    return fmt::format("unknown command {}{}; there are: {}", config::in_quotes(unknown.front()),
                       guess(unknown.front(), commands), there_are);
  }
  for (const std::string& word : unknown) {
    if (!is_option(word)) continue;
    const std::string name = word.substr(0, word.find('='));
    return fmt::format("{} has no option {}{}", command_line_of(command), printable(name),
                       guess(name, names_of_options(command)));
  }
  if (!unknown.empty()) {
    return fmt::format("{} takes no further argument, got {}", command_line_of(command),
                       config::in_quotes(unknown.front()));
  }
  const std::string what = error.what();
  if (dynamic_cast<const CLI::RequiredError*>(&error) != nullptr) return missing(command, what);
  if (dynamic_cast<const CLI::ArgumentMismatch*>(&error) != nullptr)
    return fmt::format("{} needs a value", what.substr(0, what.find(':')));
  return printable(what);
}

CLI::Validator one_of(std::span<const std::string_view> names) {
  return {[names](std::string& text) {
            if (std::ranges::find(names, std::string_view(text)) != names.end()) return std::string();
            return fmt::format("expected one of {}, got {}{}", config::joined(names), config::in_quotes(text),
                               config::did_you_mean(text, names));
          },
          ""};
}

}  // namespace leat::cli
