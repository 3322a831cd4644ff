// What `leat explain` shows of the reader: which files it would read.
#pragma once

#include "config/pipeline.h"

namespace leat::reader {

// Prints the proto::Listing and returns the exit code.
int print_list(const config::Pipeline& pipeline);

}  // namespace leat::reader
