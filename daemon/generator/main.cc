// leat-generator: lets the processors that are units of their own see what the exec steps of their pipeline name.
//
// Reads   CONFIG_DIR/pipelines.d/*.yaml (default /etc/leat)
// Writes  OUT/leat-processor@PIPELINE-N.service.d/50-leat-pipeline.conf, with BindReadOnlyPaths=, for N from 0 to 63
// Never   asks whether a path exists: systemd runs it at boot before anything is mounted, and at each daemon-reload
// Fails   64 usage. A pipeline file with mistakes gets no drop-in and a line on stderr: one must not cost the others.
// Gaps    a pipeline that was changed needs `systemctl daemon-reload` before a unit that starts sees the new paths

#include <fmt/format.h>

#include <cstdio>
#include <exception>

#include "daemon/generator/dropins.h"
#include "proto/base/result.h"
#include "proto/base/text.h"

int main(int argc, char** argv) {
  if (argc != 4 && argc != 5) {
    fmt::print(stderr,
               "usage: leat-generator OUT EARLY LATE [CONFIG_DIR] (by systemd, see systemd.generator(7))\n");
    return leat::kExitUsage;
  }
  try {
    for (const std::string& line : leat::generator::write_dropins(argc == 5 ? argv[4] : "/etc/leat", argv[1]))
      fmt::print(stderr, "<4>leat-generator: {}\n", leat::printable(line));
  } catch (const std::exception& error) {
    fmt::print(stderr, "<3>leat-generator: {}\n", leat::printable(error.what()));
  }
  return leat::kExitOk;
}
