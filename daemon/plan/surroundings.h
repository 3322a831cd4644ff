// What a pipeline would meet on this machine: what the file alone does not show.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "config/yaml/parse.h"

namespace leat::plan {

// Why a run that never ends (`who`: leatd, --follow) would never publish what it writes there; empty: it would.
std::string wrong_with_following(std::string_view who, const std::string& sink_path);

// What of the outputs stands in the way of a run, each with its key: a folder that is missing, a name that is taken, one that ends no
// output.
// begun: the pipeline has run here before, so an output that is there is its own.
std::vector<std::string> wrong_with_outputs(const config::Pipeline& pipeline, bool begun);

// What leatd's unit lets its processes see, as far as it is about paths. By default as the unit is shipped.
struct Sandbox {
  std::vector<std::string> writable{"/srv", "/mnt", "/media"};
  bool homes_hidden = true;  // ProtectHome=yes or tmpfs: nothing is in /home, /root and /run/user
  bool own_tmp = true;       // PrivateTmp: /tmp and /var/tmp are its own
};

// From what `systemctl show leatd -p ReadWritePaths -p ProtectHome -p PrivateTmp -p ProtectSystem` prints; a property that is
// not there is as shipped.
Sandbox parse_sandbox(std::string_view shown);

// As drop-ins have made it on this machine; as shipped where there is no such unit.
Sandbox sandbox_of_leatd();

// What leatd could not do there. file: as problems name it.
std::vector<config::Problem> wrong_for_service(const config::Pipeline& pipeline, const std::string& file,
                                               const Sandbox& sandbox);

}  // namespace leat::plan
