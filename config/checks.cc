#include "config/checks.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "config/glob.h"
#include "config/keys.h"
#include "config/text.h"
#include "proto/base/text.h"

namespace leat::config {
namespace {

// A key that may not fit.
struct Key {
  std::string_view name;
  const std::string& file;
  std::vector<Problem>& problems;

  void problem(std::string text) const { problems.push_back({file, {}, std::string(name), std::move(text)}); }
};

// The braces of a sink path: each pair must be a known placeholder.
void check_placeholders(const Key& path, const std::string& text, bool rotates) {
  bool numbered = false;
  for (std::size_t at = 0; (at = text.find_first_of("{}", at)) != std::string::npos;) {
    const std::size_t end = text[at] == '{' ? text.find('}', at) : std::string::npos;
    if (end == std::string::npos) {
      path.problem(fmt::format("in {} a {} has no partner: braces only stand around placeholders ({})",
                               in_quotes(text), text[at], joined(names::kPlaceholders)));
      return;
    }
    const std::string_view name = std::string_view(text).substr(at, end + 1 - at);
    numbered = numbered || name == "{n}";
    if (std::ranges::find(names::kPlaceholders, name) == std::end(names::kPlaceholders)) {
      path.problem(fmt::format("unknown placeholder {}{}; there are {}", in_quotes(name),
                               did_you_mean(name, names::kPlaceholders), joined(names::kPlaceholders)));
    }
    at = end + 1;
  }
  if (rotates && !numbered) {
    path.problem("sink.rotate wants {n}, the number of the file, in the path: such as out/reviews-{n}.jsonl");
  } else if (!rotates && numbered) {
    path.problem("{n} is the number of a rotated file and there is no sink.rotate: add it, or remove {n}");
  }
}

// An output in the folder of the inputs would be read as an input once it is published.
void check_not_a_source(const Key& value, const std::string& path, const Pipeline& pipeline) {
  for (const std::string& example : pipeline.source.paths) {
    const std::string output = example_output(path, glob_example(example));
    for (const std::string& glob : pipeline.source.paths) {
      if (!glob_match(glob, output)) continue;
      value.problem(
          fmt::format("{} would be read as an input: it matches the source {}; write to another folder, or "
                      "name the sources more closely",
                      in_quotes(output), in_quotes(glob)));
      return;
    }
  }
}

void check_dead_letter(const Key& value, const Pipeline& pipeline) {
  const std::string& path = pipeline.dead_letter_path;
  for (const std::string_view placeholder : names::kPlaceholders) {
    if (path.find(placeholder) == std::string::npos) continue;
    value.problem(
        fmt::format("{} is for sink.path: dead letters are one file under its own name", placeholder));
  }
  if (path.ends_with(".zst") || path.ends_with(".gz")) {
    value.problem("dead letters are written uncompressed: give the file a name such as dead.jsonl");
  }
  if (path == pipeline.sink.path)
    value.problem("the dead letters need a file of their own, this one is sink.path");
  check_not_a_source(value, path, pipeline);
}

// Nothing more fits into an output that has its name, and such a source always gets more.
void check_growing(const Key& growing, const Pipeline& pipeline) {
  const auto holds = [&pipeline](std::string_view name) {
    return pipeline.sink.path.find(name) != std::string::npos;
  };
  if (!pipeline.source.growing || holds("{n}") || !(holds("{stem}") || holds("{path}"))) return;
  growing.problem(
      "files that grow are never finished, and each has one output: put {n} into sink.path, with "
      "sink.rotate, "
      "so that what comes later has a place");
}

// A source that is moved must not be found again, and one that is never finished is never done with.
void check_after(const Key& after, const Pipeline& pipeline) {
  if (pipeline.source.growing) {
    after.problem("a source that is growing is never finished: remove source.growing or source.after");
  }
  if (!pipeline.source.after.starts_with("move:")) return;
  const std::string folder = pipeline.source.after.substr(5);
  for (const std::string& example : pipeline.source.paths) {
    const std::string name = glob_example(example);
    const std::string moved = folder + name.substr(name.rfind('/'));
    for (const std::string& glob : pipeline.source.paths) {
      if (!glob_match(glob, moved)) continue;
      after.problem(
          fmt::format("{} would be read again: it matches the source {}; move to another folder, or name the "
                      "sources more closely",
                      in_quotes(moved), in_quotes(glob)));
      return;
    }
  }
}

}  // namespace

std::string to_string(const Problem& problem) {
  std::string out = problem.file;
  if (problem.where.line > 0) out += fmt::format(":{}:{}", problem.where.line, problem.where.column);
  if (!problem.key.empty()) out += ": " + problem.key;
  return printable(out + ": " + problem.text);
}

std::string example_output(const std::string& sink_path, const std::string& source_path) {
  std::string stem = source_path.substr(source_path.rfind('/') + 1);
  for (const std::string_view ending : {".zst", ".gz"}) {
    if (stem.ends_with(ending)) stem.resize(stem.size() - ending.size());
  }
  if (const std::size_t dot = stem.rfind('.'); dot != std::string::npos && dot > 0) stem.resize(dot);
  std::string out;
  for (std::size_t at = 0; at < sink_path.size();) {
    const std::string_view rest = std::string_view(sink_path).substr(at);
    const auto placeholder = std::ranges::find_if(
        names::kPlaceholders, [&](std::string_view name) { return rest.starts_with(name); });
    if (placeholder == std::end(names::kPlaceholders)) {
      out += sink_path[at++];
      continue;
    }
    at += placeholder->size();
    out += *placeholder == "{n}" ? "1" : *placeholder == "{date}" ? "20240229" : stem;
  }
  return out;
}

std::vector<Problem> misfits(const Pipeline& pipeline) {
  std::vector<Problem> problems;
  const auto key = [&](std::string_view name) { return Key{name, pipeline.file, problems}; };
  check_growing(key("source.growing"), pipeline);
  if (!pipeline.source.after.empty()) check_after(key("source.after"), pipeline);
  if (!pipeline.sink.path.empty()) {
    check_placeholders(key("sink.path"), pipeline.sink.path, pipeline.sink.rotate != Rotate{});
    check_not_a_source(key("sink.path"), pipeline.sink.path, pipeline);
  }
  if (!pipeline.dead_letter_path.empty()) check_dead_letter(key("dead_letter.path"), pipeline);
  return problems;
}

}  // namespace leat::config
