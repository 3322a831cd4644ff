// From YAML text to a Pipeline: every error at once, each with its place, its key, what was expected and a suggestion.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "config/checks.h"
#include "config/pipeline.h"

namespace leat::config {

struct Parsed {
  Pipeline pipeline;              // meaningful only when problems is empty
  std::vector<Problem> problems;  // in the order of the file
};

// Parses and validates. `file` names the text in problems and, made absolute, gives the folder that relative paths
// start from. Never throws, reads no other file, caps nesting and size (1 MiB of text).
Parsed parse_pipeline(std::string_view text, const std::string& file);

// Reads `file` (at most 1 MiB) and parses it. A file that cannot be read is one Problem.
Parsed load_pipeline(const std::string& file);

}  // namespace leat::config
