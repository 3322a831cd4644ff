#include "daemon/leatd/options.h"

#include <doctest/doctest.h>

#include <filesystem>
#include <vector>

#include "proto/base/result.h"

using namespace leat;
using namespace leat::leatd;

namespace {

std::optional<Folders> parsed(std::vector<const char*> arguments, int& exit_code) {
  arguments.insert(arguments.begin(), "leatd");
  return parse(static_cast<int>(arguments.size()), arguments.data(), exit_code);
}

}  // namespace

TEST_CASE("folders are the system's until others are named, and are absolute without a slash at the end") {
  int exit_code = -1;
  auto folders = parsed({"--state-dir", "a/../state/", "--runtime-dir", "/"}, exit_code);
  REQUIRE(folders.has_value());
  Folders whole = absolute(*folders);
  CHECK(whole.config == "/etc/leat");
  CHECK(whole.state == (std::filesystem::current_path() / "state").string());
  CHECK(whole.runtime == "/");
  CHECK(exit_code == -1);
}

TEST_CASE("an option that is not known is a usage error") {
  int exit_code = -1;
  CHECK_FALSE(parsed({"--config", "/etc/leat"}, exit_code).has_value());
  CHECK(exit_code == kExitUsage);
}
