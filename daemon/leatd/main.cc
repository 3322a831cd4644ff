// leatd: runs the pipelines of a folder for as long as the machine is up.
//
// Reads   CONFIG/pipelines.d/*.yaml, at its start and when told to (SIGHUP, leat reload); the pages of its workers
// Writes  ledgers below STATE (its writers do), sockets and pages below RUNTIME; what happens to stderr
// Never   ends because of a pipeline, a source or a sink; opens a source, a sink or a data socket
// Fails   64 usage; 78 when another leatd has the runtime folder, a folder cannot be made, or fewer open files are allowed
//         than it needs itself. A pipeline file that is wrong, or for which too few are, is refused and named by
//         `leat status`; the others run
// Gaps    what was paused, stopped or scaled by hand is forgotten when leatd starts again

#include <fmt/format.h>
#include <malloc.h>

#include <CLI/CLI.hpp>
#include <clocale>
#include <cstdio>
#include <exception>
#include <filesystem>
#include <string>

#include "daemon/leatd/daemon.h"
#include "daemon/log/log.h"
#include "proto/base/result.h"

namespace {

std::string absolute(const std::string& path) {
  std::string text = std::filesystem::absolute(path).lexically_normal().string();
  if (text.size() > 1 && text.ends_with('/')) text.pop_back();
  return text;
}

}  // namespace

int main(int argc, char** argv) {
  std::setlocale(LC_CTYPE, "");
  leat::leatd::Folders folders{"/etc/leat", "/var/lib/leat", "/run/leat"};
  CLI::App app("leatd: runs every pipeline of CONFIG/pipelines.d", "leatd");
  app.set_version_flag("--version", std::string("leatd ") + LEAT_VERSION);
  app.add_option("--config-dir", folders.config, "pipelines.d is in it")
      ->type_name("DIR")
      ->capture_default_str();
  app.add_option("--state-dir", folders.state, "where ledgers are kept")
      ->type_name("DIR")
      ->capture_default_str();
  app.add_option("--runtime-dir", folders.runtime, "where sockets are while it runs")
      ->type_name("DIR")
      ->capture_default_str();
  app.footer(
      "SIGTERM and SIGINT stop all pipelines and end it (the second one at once), SIGHUP reads the folder "
      "again.\n"
      "`leat status` and others talk to it; see leatd(8).");
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? leat::kExitOk : leat::kExitUsage;
  }
  // The threads of each pipeline's sockets would fill arenas of their own, again with every start of a pipeline.
  ::mallopt(M_ARENA_MAX, 1);
  leat::log::setup("leatd");
  // What cannot be started as it is configured waits for a person; what fails later is worth another start.
  int exit_code = leat::kExitConfig;
  try {
    for (std::string* folder : {&folders.config, &folders.state, &folders.runtime})
      *folder = absolute(*folder);
    leat::leatd::Daemon daemon(folders);
    exit_code = leat::kExitBug;
    exit_code = daemon.run();
  } catch (const std::exception& error) {
    leat::log::error("leatd-fails", {{"text", error.what()}});
  }
  leat::log::finish();
  return exit_code;
}
