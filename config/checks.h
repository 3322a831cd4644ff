// What no key alone can break: placeholders and rotation, outputs that are inputs.
#pragma once

#include <string>
#include <vector>

#include "config/pipeline.h"

namespace leat::config {

// One thing wrong with a pipeline file. to_string(): "reviews.yaml:12:5: filter.keep[0].lt: expected a number, got
// a list (did you mean ...?)".
struct Problem {
  std::string file;
  Where where;
  std::string key;   // dotted path, with [i] for list items
  std::string text;  // what was expected, what came, what to do
};
std::string to_string(const Problem& problem);

// Without their places. A path that is empty is not looked at.
std::vector<Problem> misfits(const Pipeline& pipeline);

// What the placeholders of a sink path are replaced by when a source is `source_path`: for checks only, {n}
// and {date} are samples.
std::string example_output(const std::string& sink_path, const std::string& source_path);

}  // namespace leat::config
