#include "daemon/cli/commands.h"

#include <fmt/format.h>

#include <cstdio>

#include "proto/base/text.h"

namespace leat::cli {

int fail_with(const Error& error) {
  fmt::print(stderr, "leat: {}\n", printable(error.text));
  return error.exit_code;
}

}  // namespace leat::cli
