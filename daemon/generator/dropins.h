// What the exec steps of a pipeline name, as a drop-in for the units of its processors.
#pragma once

#include <string>
#include <vector>

#include "config/pipeline.h"

namespace leat::generator {

// A processor by unit is leat-processor@PIPELINE-N.service with an N below this: systemd knows no drop-in for all
// instances that begin with PIPELINE-, so there is one folder for each.
inline constexpr int kInstances = 64;

// Absolute paths that the processors of this pipeline see beside /usr, sorted: the pipeline's folder, where exec steps
// run, each absolute path among the words of a command (also behind the '=' of --option=/path), each relative one that
// leads out of that folder, and the folder of a Python virtual environment whose program is called. Whether they exist
// is not asked, for a generator runs before anything is mounted. Empty without exec steps.
std::vector<std::string> paths_of(const config::Pipeline& pipeline);

// The text of the drop-in. A path that no unit file can hold is skipped.
std::string dropin_text(const config::Pipeline& pipeline);

// Writes drop-ins below out_dir for every pipeline of config_dir/pipelines.d/*.yaml; returns what went wrong, a line each.
// A bad file costs its own pipeline only.
std::vector<std::string> write_dropins(const std::string& config_dir, const std::string& out_dir);

}  // namespace leat::generator
