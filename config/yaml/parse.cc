#include "config/yaml/parse.h"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <memory>
#include <optional>
#include <set>
#include <utility>

#include "config/yaml/sections.h"
#include "config/yaml/value.h"
#include "config/yaml/yaml.h"
#include "proto/base/text.h"

namespace leat::config {
namespace {

constexpr std::size_t kMaxFileBytes = kMiB;

std::string absolute(const std::string& file) {
  std::error_code error;
  const std::filesystem::path path = std::filesystem::absolute(file, error);
  return (error ? std::filesystem::path("/") / file : path).lexically_normal().string();
}

// The place of the first byte that may not stand in a config file; line 0: there is none.
Where bad_byte(std::string_view text) {
  const std::size_t bad = std::min(utf8_prefix(text), text.find('\0'));
  if (bad >= text.size()) return {};
  const std::string_view before = text.substr(0, bad);
  const std::size_t line_start = before.rfind('\n') + 1;  // npos + 1 is 0
  return {static_cast<int>(std::ranges::count(before, '\n')) + 1, static_cast<int>(bad - line_start) + 1};
}

// Of a section of the file; nullopt: it is not there.
std::optional<Value> find(const Map& root, std::string_view dotted) {
  const std::size_t dot = dotted.find('.');
  const auto section = root.find(dotted.substr(0, dot));
  if (!section) return std::nullopt;
  const auto& names = section->node().keys;
  const auto found = std::ranges::find(names, dotted.substr(dot + 1), &Node::Key::text);
  if (found == names.end()) return std::nullopt;
  return section->member(static_cast<std::size_t>(found - names.begin()));
}

// What is wrong with a tree whatever the keys mean: a key twice (YAML libraries keep one of them and say
// nothing), a NUL by way of an escape.
void check_tree(const Value& value) {
  const Node& node = value.node();
  std::set<std::string_view> seen;
  for (const Node::Key& key : node.keys) {
    if (!seen.insert(key.text).second) value.problem_at(key, "the key stands here twice: which one counts?");
    if (key.text.find('\0') != std::string::npos || !is_utf8(key.text)) {
      value.problem_at(key, "expected a key of valid characters, got one with \\0 or half a surrogate pair");
    }
  }
  if (node.text.find('\0') != std::string::npos || !is_utf8(node.text)) {
    value.problem("expected text of valid characters, got text with \\0 or half a surrogate pair");
  }
  for (std::size_t i = 0; i < node.items.size(); ++i) {
    check_tree(node.kind == Node::Kind::kMap ? value.member(i) : value.item(i));
  }
}

}  // namespace

Parsed parse_pipeline(std::string_view text, const std::string& file) {
  Parsed parsed;
  parsed.pipeline.file = absolute(file);
  parsed.pipeline.base_dir = std::filesystem::path(parsed.pipeline.file).parent_path().string();
  Problems problems(file);
  if (text.size() > kMaxFileBytes) {
    problems.add({}, "",
                 "expected a pipeline file of at most 1MiB, this one is longer (long lists go to in_file)");
  } else if (const Where where = bad_byte(text); where.line > 0) {
    problems.add(where, "", "expected UTF-8 text, got a byte that is not (or a NUL)");
  } else if (const auto tree = parse_yaml(text); !tree) {
    problems.add(tree.error().where, "", tree.error().text);
  } else {
    const Value value(*tree, "", problems);
    check_tree(value);
    const Map root(value, keys::kRoot);
    if (value.is(Node::Kind::kMap)) {
      parse_sections(root, parsed.pipeline);
      for (Problem& misfit : misfits(parsed.pipeline)) {
        if (const auto at = find(root, misfit.key)) at->problem(std::move(misfit.text));
      }
    } else if (value.is(Node::Kind::kNull)) {
      problems.add({1, 1}, "", "the file is empty");
    }
  }
  parsed.problems = problems.take();
  return parsed;
}

Parsed load_pipeline(const std::string& file) {
  Parsed parsed;
  const auto failed = [&] {
    const char* why = std::strerror(errno);
    const char* hint = file == "-" ? "; a pipeline is read from a file, or from /dev/stdin" : "";
    parsed.problems.push_back({file, {}, "", fmt::format("cannot be read: {}{}", why, hint)});
    return parsed;
  };
  const std::unique_ptr<std::FILE, int (*)(std::FILE*)> stream(std::fopen(file.c_str(), "re"), std::fclose);
  if (!stream) return failed();
  std::string text(kMaxFileBytes + 1, '\0');
  text.resize(std::fread(text.data(), 1, text.size(), stream.get()));
  if (std::ferror(stream.get()) != 0) return failed();
  return parse_pipeline(text, file);
}

}  // namespace leat::config
