// The sections of a pipeline file, each read into its struct, and what has to fit between them.
#pragma once

#include "config/pipeline.h"
#include "config/value.h"

namespace leat::config {

// `root` is the whole file. Fills everything but pipeline.file and pipeline.base_dir, which are set before.
void parse_sections(const Map& root, Pipeline& pipeline);

// What no key alone can break: placeholders and rotation, outputs that are inputs, levels of a codec. Call
// after parse_sections; fields that were wrong there are empty here and not checked again.
void check_sections(const Map& root, const Pipeline& pipeline);

// What the placeholders of a sink path are replaced by when a source is `source_path`: for checks only, {n}
// and {date} are samples.
std::string example_output(const std::string& sink_path, const std::string& source_path);

}  // namespace leat::config
