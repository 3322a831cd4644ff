// leatd: runs the pipelines of a folder for as long as the machine is up.
//
// Reads   CONFIG/pipelines.d/*.yaml, at its start and when told to (SIGHUP, leat reload); the pages of its workers
// Writes  ledgers below STATE (its writers do), sockets and pages below RUNTIME; what happens to stderr
// Never   ends because of a pipeline, a source or a sink; opens a source, a sink or a data socket
// Fails   64 usage; 78 when another leatd has the runtime folder, a folder cannot be made, or fewer open files are allowed
//         than it needs itself. A pipeline file that is wrong, or for which too few are, is refused and named by
//         `leat status`; the others run
// Gaps    what was paused, stopped or scaled by hand is forgotten when leatd starts again

#include <malloc.h>

#include <clocale>
#include <exception>
#include <utility>

#include "daemon/leatd/daemon.h"
#include "daemon/leatd/options.h"
#include "daemon/log/log.h"
#include "proto/base/result.h"

int main(int argc, char** argv) {
  std::setlocale(LC_CTYPE, "");
  // What cannot be started as it is configured waits for a person; what fails later is worth another start.
  int exit_code = leat::kExitConfig;
  auto folders = leat::leatd::parse(argc, argv, exit_code);
  if (!folders) return exit_code;
  // The threads of each pipeline's sockets would fill arenas of their own, again with every start of a pipeline.
  ::mallopt(M_ARENA_MAX, 1);
  leat::log::setup("leatd");
  try {
    leat::leatd::Daemon daemon(leat::leatd::absolute(*std::move(folders)));
    exit_code = leat::kExitBug;
    exit_code = daemon.run();
  } catch (const std::exception& error) {
    leat::log::error("leatd-fails", {{"text", error.what()}});
  }
  leat::log::finish();
  return exit_code;
}
