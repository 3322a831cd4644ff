// The sections of a pipeline file, each read into its struct.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "config/pipeline.h"
#include "config/yaml/value.h"

namespace leat::config {

// `root` is the whole file. Fills everything but pipeline.file and pipeline.base_dir, which are set before. Fields that were
// wrong are empty.
void parse_sections(const Map& root, Pipeline& pipeline);

// base_dir: absolute folder that relative paths start from. Problems are reported at `value`; what is
// returned is complete only when there were none.
std::vector<Predicate> parse_predicates(const Value& value, const std::string& base_dir);
std::vector<Step> parse_steps(const Value& value, const std::string& base_dir);

// `text` as an absolute path without "." and "..", by its letters only: no file is touched. nullopt: a
// problem.
std::optional<std::string> parse_path(const Value& value, const std::string& base_dir);

}  // namespace leat::config
