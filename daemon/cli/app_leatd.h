// The part of the command line that is about a running leatd.
#pragma once

#include <CLI/App.hpp>
#include <string>

#include "daemon/cli/commands.h"

namespace leat::cli {

// --runtime-dir of the leatd to ask.
void add_leatds_folder(CLI::App* command, std::string& folder);

// scale, pause, resume, drain, stop and reload. The one that was given is in options.command.
void add_changes(CLI::App& app, ChangeOptions& options);

}  // namespace leat::cli
