// leat: runs, checks and explains pipelines, shows what their ledgers know, and talks to leatd.
//
// Reads   the pipeline file; the pages of its workers; ledgers and dead letters when asked about them; what leatd answers
// Writes  progress, summary and mistakes to stderr; what --json asks for to stdout; a runtime folder; the state folder of a
//         replay
// Never   opens a source, a sink or a data socket: that is the workers' business
// Fails   64 usage, 66 nothing to show, 74 no leatd there, 78 bad configuration; with the worker that failed, or as
//         leatd says, otherwise
// Gaps    with `stty tostop` a sink of /dev/stdout on a terminal stops the writer, which is in a group of its own

#include <fmt/format.h>

#include <clocale>
#include <cstdio>
#include <exception>
#include <string>
#include <type_traits>
#include <vector>

#include "daemon/cli/app.h"
#include "proto/base/result.h"
#include "proto/base/text.h"

namespace {

int carry_out(const leat::cli::Command& command) {
  using namespace leat::cli;
  if (const auto* options = std::get_if<RunOptions>(&command)) return run(*options);
  if (const auto* options = std::get_if<CheckOptions>(&command))
    return check(options->pipelines, options->for_service, options->json);
  if (const auto* options = std::get_if<ExplainOptions>(&command))
    return explain(options->pipeline, options->json, options->sandbox);
  if (const auto* options = std::get_if<SourcesOptions>(&command)) return sources(*options);
  if (const auto* options = std::get_if<StatusOptions>(&command)) return status(*options);
  if (const auto* options = std::get_if<DeadOptions>(&command)) return dead(*options);
  if (const auto* options = std::get_if<ReplayOptions>(&command)) return replay(*options);
  if (const auto* options = std::get_if<ChangeOptions>(&command)) return change(*options);
  const auto& answer = std::get<Answer>(command);
  std::fputs(answer.text.c_str(), answer.exit_code == leat::kExitOk ? stdout : stderr);
  return answer.exit_code;
}

}  // namespace

int main(int argc, char** argv) {
  std::setlocale(LC_CTYPE, "");
  try {
    int exit_code = carry_out(leat::cli::parse_command_line(std::vector<std::string>(argv + 1, argv + argc)));
    return std::fflush(stdout) == 0 ? exit_code : int{leat::kExitIo};
  } catch (const std::exception& error) {
    fmt::print(stderr, "leat: {}\n", leat::printable(error.what()));
    return leat::kExitBug;
  }
}
