// leatd's command line.
#pragma once

#include <optional>

#include "daemon/leatd/runner.h"

namespace leat::leatd {

// nullopt: it has printed what was asked for or what is wrong, and `exit_code` is what to exit with.
std::optional<Folders> parse(int argc, const char* const* argv, int& exit_code);

// From the current folder on, without a slash at the end. Throws std::filesystem::filesystem_error.
Folders absolute(Folders folders);

}  // namespace leat::leatd
