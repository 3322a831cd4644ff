// A pipeline file from anybody: a Pipeline or a list of problems with places in the text, never a crash.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "config/yaml/parse.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  std::string_view text(reinterpret_cast<const char*>(data), size);
  auto parsed = leat::config::parse_pipeline(text, "/fuzz/pipeline.yaml");
  auto lines = 2 + std::count(text.begin(), text.end(), '\n') + std::count(text.begin(), text.end(), '\r');
  for (const auto& problem : parsed.problems) {
    if (leat::config::to_string(problem).empty() || problem.where.line < 0 || problem.where.line > lines)
      std::abort();
  }
  if (parsed.problems.empty() && (parsed.pipeline.name.empty() || parsed.pipeline.source.paths.empty()))
    std::abort();
  return 0;
}
