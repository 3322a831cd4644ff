// Parsing a pipeline text in one call, problems as the user sees them.
#pragma once

#include <stdexcept>
#include <string>
#include <string_view>

#include "config/encoding.h"
#include "config/yaml/parse.h"

namespace leat::config::test {

// Four lines that are complete: what is added to them begins in line 5.
inline const std::string kHead =
    "version: 1\n"
    "name: t\n"
    "source: {paths: [/in/*.jsonl]}\n"
    "sink: {path: /out/a.jsonl}\n";

inline Parsed parse(std::string_view text) {
  return parse_pipeline(text, "/etc/leat/p.yaml");
}

// All problems, one a line, without "/etc/leat/p.yaml:"; "" when there are none.
inline std::string problems(std::string_view text) {
  std::string out;
  for (Problem problem : parse(text).problems) {
    problem.file = "p";
    out += (out.empty() ? "" : "\n") + to_string(problem).substr(2);
  }
  return out;
}
inline std::string problems_after_head(const std::string& text) {
  return problems(kHead + text);
}

// As a worker gets it.
inline Pipeline good(const std::string& text) {
  Parsed parsed = parse(text);
  if (!parsed.problems.empty()) throw std::runtime_error(to_string(parsed.problems[0]));
  auto decoded = decode_fields<Pipeline>(encode_fields(parsed.pipeline), "pipeline");
  if (!decoded) throw std::runtime_error(decoded.error().text);
  if (!(*decoded == parsed.pipeline)) throw std::runtime_error("a worker would decode another pipeline");
  return parsed.pipeline;
}
inline Pipeline good_after_head(const std::string& text) {
  return good(kHead + text);
}

}  // namespace leat::config::test
