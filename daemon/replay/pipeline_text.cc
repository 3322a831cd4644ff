// YAML is written from the tree of the parser, so a scalar that was not quoted must stay so (5 is a number, "5" is none). In
// block style it may: what it was read from had it on a line of its own or in a flow list, and both allow less than a block
// does. A plain scalar over several lines is always a string, and is quoted.
#include "daemon/replay/pipeline_text.h"

#include <fmt/format.h>

#include <string_view>
#include <utility>

#include "config/glob.h"
#include "config/text.h"
#include "config/yaml.h"
#include "proto/base/text.h"

namespace leat::replay {

namespace {

using config::Node;

std::string in_quotes(std::string_view text) {
  std::string out;
  append_quoted(out, text);
  return out;
}

Node text_node(const std::string& text) {
  Node node;
  node.kind = Node::Kind::kQuoted;
  node.text = text;
  return node;
}

// The value of a key of a map, made if it is missing.
Node& member(Node& map, std::string_view key) {
  if (map.kind != Node::Kind::kMap) map = Node{Node::Kind::kMap, {}, {}, {}, {}};
  for (std::size_t i = 0; i < map.keys.size(); ++i) {
    if (map.keys[i].text == key) return map.items[i];
  }
  map.keys.push_back({std::string(key), {}, false});
  return map.items.emplace_back();
}

void remove(Node& map, std::string_view key) {
  for (std::size_t i = 0; i < map.keys.size(); ++i) {
    if (map.keys[i].text != key) continue;
    map.keys.erase(map.keys.begin() + static_cast<std::ptrdiff_t>(i));
    map.items.erase(map.items.begin() + static_cast<std::ptrdiff_t>(i));
    return;
  }
}

// Behind "key:" or "-" of a line that is `depth` deep; ends with a newline. Depth is capped by the parser.
void write(std::string& out, const Node& node, std::size_t depth) {
  std::string indent(depth * 2, ' ');
  switch (node.kind) {
    case Node::Kind::kNull:
      out += " null\n";
      return;
    case Node::Kind::kPlain:
      out += ' ' + (node.text.find('\n') == std::string::npos ? node.text : in_quotes(node.text)) + '\n';
      return;
    case Node::Kind::kQuoted:
      out += ' ' + in_quotes(node.text) + '\n';
      return;
    case Node::Kind::kList:
      out += node.items.empty() ? " []\n" : "\n";
      for (const Node& item : node.items) {
        out += indent + '-';
        write(out, item, depth + 1);
      }
      return;
    case Node::Kind::kMap:
      out += node.items.empty() ? " {}\n" : "\n";
      for (std::size_t i = 0; i < node.items.size(); ++i) {
        out += indent + in_quotes(node.keys[i].text) + ':';
        write(out, node.items[i], depth + 1);
      }
      return;
  }
}

// There is no escape in a glob, but a set of one character is that character.
std::string literal_glob(std::string_view path) {
  std::string out;
  for (char byte : path) {
    if (byte == '*' || byte == '?' || byte == '[') {
      out += fmt::format("[{}]", byte);
    } else {
      out += byte;
    }
  }
  return out;
}

}  // namespace

Result<std::string> changed_pipeline(const std::string& text, const PipelineChanges& changes) {
  for (const auto* path : {&changes.source, &changes.dead_letter, &changes.sink}) {
    if (is_utf8(*path)) continue;
    return fail(
        Fault::kFatal,
        fmt::format(
            "leat: {} is not UTF-8, and so cannot stand in a pipeline; choose another folder with --state",
            config::in_quotes(*path)),
        kExitConfig);
  }
  auto root = config::parse_yaml(text);
  if (!root) return fail(Fault::kFatal, "the pipeline cannot be read: " + root.error().text, kExitConfig);

  Node& source = member(*root, "source");
  Node paths;
  paths.kind = Node::Kind::kList;
  paths.items.push_back(text_node(literal_glob(changes.source)));
  member(source, "paths") = std::move(paths);
  // About where the sources were and what becomes of them. What records may look like (max_record) stays.
  for (const char* key : {"require_mount", "compression", "after", "growing"}) remove(source, key);
  member(member(*root, "dead_letter"), "path") = text_node(changes.dead_letter);
  if (!changes.sink.empty()) {
    Node& sink = member(*root, "sink");
    member(sink, "path") = text_node(changes.sink);
    if (!changes.keep_rotate) {
      remove(sink, "rotate");
      remove(sink, "require_mount");
    }
  }
  std::string out;
  write(out, *root, 0);
  return out.substr(1);  // the newline that stands behind a key
}

}  // namespace leat::replay
