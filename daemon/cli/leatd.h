// The commands that a running leatd answers. Each returns the program's exit code.
#pragma once

#include <string>

#include "daemon/cli/commands.h"

namespace leat::cli {

// Is this the name of a pipeline of leatd, rather than a file? It is when it could be one, and no such file is here.
bool is_leatds(const std::string& name);

int leatd_status(const StatusOptions& options);
int leatd_sources(const SourcesOptions& options);
int leatd_dead(const DeadOptions& options);

// The pipeline that a leatd of this machine has from this file, unless it is stopped; empty: there is none.
std::string pipeline_of_leatd(const std::string& file);

}  // namespace leat::cli
