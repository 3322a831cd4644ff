// Which state folder a command means, and its ledger to check.
#pragma once

#include <string>
#include <vector>

#include "config/yaml/parse.h"
#include "proto/base/result.h"
#include "workers/ledger/ledger.h"

namespace leat::plan {

// As the command line has it: a pipeline file, or a folder, or both.
struct StateOf {
  std::string pipeline;
  std::string state;
};

struct OpenState {
  std::string folder;
  std::string pipeline;  // the name
  ledger::View view;
};

// kFatal, 78: the pipeline file is wrong, there is no ledger, or it is another pipeline's.
[[nodiscard]] Result<OpenState> open_state(const StateOf& of);

// What is wrong with a pipeline file, in one line: the first of its problems, and how many more there are.
// Precondition: there is one.
Error refused(const std::vector<config::Problem>& problems);

// Absolute, without "..", whether it exists or not.
std::string absolute(const std::string& path);

// For a run that begins now: "20261005T120000Z-1f2e3d4c", never the same again.
std::string new_run_id();

// Is the sink a FIFO, a device or what stdout is? Then nothing of the run outlives it.
bool is_volatile(const std::string& sink_path);

}  // namespace leat::plan
