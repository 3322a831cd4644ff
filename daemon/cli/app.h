// The command line of leat.
#pragma once

#include <string>
#include <variant>
#include <vector>

#include "daemon/cli/commands.h"

namespace leat::cli {

struct CheckOptions {
  std::vector<std::string> pipelines;
  bool for_service = false;
  bool json = false;
};
struct ExplainOptions {
  std::string pipeline;
  bool json = false;
  bool sandbox = false;
};
// Nothing to run: text for stdout (help, version; exit code 0) or for stderr (a mistake, with a hint; exit
// code 64).
struct Answer {
  int exit_code = 0;
  std::string text;
};
using Command = std::variant<RunOptions, CheckOptions, ExplainOptions, SourcesOptions, StatusOptions,
                             DeadOptions, ReplayOptions, ChangeOptions, Answer>;

// arguments: without the program's name.
Command parse_command_line(const std::vector<std::string>& arguments);

}  // namespace leat::cli
