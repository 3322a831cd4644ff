// What the program of an exec step may do, and what it is told: it reads and executes what its user may, writes only to
// a folder of its own and to those that the step names, may use the network, and reaches no process but its own.
//
// A worker that confines itself has to allow all of this to itself too, and what child.h says that it does.
#pragma once

#include <string>
#include <vector>

#include "config/pipeline.h"
#include "workers/stage/sandbox.h"

namespace leat::processor {

// temp: its TMPDIR.
stage::Policy policy_of(const config::Step& step, const std::string& temp);

// "NAME=value": the few variables that programs expect, TMPDIR, and those of the step's `env`.
std::vector<std::string> environment_of(const config::Step& step, const std::string& temp);

// Where folders for TMPDIR are made: TMPDIR of leat, or /tmp.
std::string temp_root();

}  // namespace leat::processor
