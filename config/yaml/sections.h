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

// paths.cc. `text` as an absolute path without "." and "..", by its letters only: no file is touched but those of ${file:PATH}.
// nullopt: a problem.
std::optional<std::string> parse_path(const Value& value, const std::string& base_dir);
std::optional<std::string> parse_glob(const Value& value, const std::string& base_dir);
// ${NAME} is replaced by what the environment has, ${file:PATH} by the first line of that file, 4 KiB at most.
std::optional<std::string> interpolated(const Value& value, std::string_view text);
bool is_variable_name(std::string_view name);
// Without "." and "..", and no '/' at its end.
std::string lexical(const std::string& path);

}  // namespace leat::config
