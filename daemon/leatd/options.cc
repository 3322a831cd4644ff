#include "daemon/leatd/options.h"

#include <CLI/CLI.hpp>
#include <filesystem>
#include <string>

#include "proto/base/result.h"

namespace leat::leatd {

std::optional<Folders> parse(int argc, const char* const* argv, int& exit_code) {
  Folders folders{"/etc/leat", "/var/lib/leat", "/run/leat"};
  CLI::App app("leatd: runs every pipeline of CONFIG/pipelines.d", "leatd");
  app.set_version_flag("--version", std::string("leatd ") + LEAT_VERSION);
  auto add = [&app](const char* name, std::string& folder, const char* what) {
    app.add_option(name, folder, what)->type_name("DIR")->capture_default_str();
  };
  add("--config-dir", folders.config, "pipelines.d is in it");
  add("--state-dir", folders.state, "where ledgers are kept");
  add("--runtime-dir", folders.runtime, "where sockets are while it runs");
  app.footer(
      "SIGTERM and SIGINT stop all pipelines and end it (the second one at once), SIGHUP reads the folder "
      "again.\n"
      "`leat status` and others talk to it; see leatd(8).");
  try {
    app.parse(argc, argv);
    return folders;
  } catch (const CLI::ParseError& error) {
    exit_code = app.exit(error) == 0 ? kExitOk : kExitUsage;
    return std::nullopt;
  }
}

Folders absolute(Folders folders) {
  for (std::string* folder : {&folders.config, &folders.state, &folders.runtime}) {
    *folder = std::filesystem::absolute(*folder).lexically_normal().string();
    if (folder->size() > 1 && folder->ends_with('/')) folder->pop_back();
  }
  return folders;
}

}  // namespace leat::leatd
