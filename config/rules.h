// The two lists a user thinks in: predicates (filter.keep) and steps (process.steps).
#pragma once

#include <string>
#include <vector>

#include "config/pipeline.h"
#include "config/value.h"

namespace leat::config {

// base_dir: absolute folder that relative paths start from. Problems are reported at `value`; what is
// returned is complete only when there were none.
std::vector<Predicate> parse_predicates(const Value& value, const std::string& base_dir);
std::vector<Step> parse_steps(const Value& value, const std::string& base_dir);

// `text` as an absolute path without "." and "..", by its letters only: no file is touched. nullopt: a
// problem.
std::optional<std::string> parse_path(const Value& value, const std::string& base_dir);

}  // namespace leat::config
