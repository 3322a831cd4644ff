#include "config/yaml/yaml.h"

#include <fmt/format.h>
#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/exceptions.h>
#include <yaml-cpp/node/node.h>
#include <yaml-cpp/parser.h>

#include <algorithm>
#include <map>
#include <optional>
#include <sstream>
#include <utility>

#include "proto/base/text.h"

namespace leat::config {
namespace {

Where place(const YAML::Mark& mark) {
  return {mark.line + 1, mark.column + 1};
}

// Ends the parse from inside a callback; caught in parse_yaml.
struct Stop {
  SyntaxError error;
};

[[noreturn]] void stop(Where where, std::string text) {
  throw Stop{{where, std::move(text)}};
}

std::size_t cost(const Node& node) {
  std::size_t bytes = sizeof(Node) + node.text.size();
  for (const Node::Key& key : node.keys) bytes += sizeof(Node::Key) + key.text.size();
  for (const Node& item : node.items) bytes += cost(item);
  return bytes;
}

class Builder final : public YAML::EventHandler {
 public:
  bool any() const { return documents_ > 0; }
  Node take() { return std::move(root_); }

  void OnDocumentStart(const YAML::Mark& mark) override {
    if (++documents_ > 1) stop(place(mark), "expected one YAML document, got a second one (after \"---\")");
  }
  void OnDocumentEnd() override {}

  void OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    Node node;
    node.where = place(mark);
    add(std::move(node), anchor);
  }

  void OnAlias(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    const auto found = anchors_.find(anchor);
    if (found == anchors_.end()) stop(place(mark), "an alias inside of what it stands for");
    charge(place(mark), cost(found->second));
    Node copy = found->second;
    copy.where = place(mark);
    attach(std::move(copy));
  }

  void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                const std::string& value) override {
    Node node;
    node.where = place(mark);
    node.kind = tag == "?" ? Node::Kind::kPlain : Node::Kind::kQuoted;
    if (tag != "?" && tag != "!" && tag != "tag:yaml.org,2002:str") refuse_tag(mark, tag);
    node.text = value;
    add(std::move(node), anchor);
  }

  void OnSequenceStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                       YAML::EmitterStyle::value) override {
    open(mark, tag, anchor, Node::Kind::kList);
  }
  void OnSequenceEnd() override { close(); }
  void OnMapStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                  YAML::EmitterStyle::value) override {
    open(mark, tag, anchor, Node::Kind::kMap);
  }
  void OnMapEnd() override { close(); }

 private:
  struct Frame {
    Node node;
    YAML::anchor_t anchor = 0;
    bool has_key = false;  // kMap: the last key waits for its value
  };

  [[noreturn]] static void refuse_tag(const YAML::Mark& mark, const std::string& tag) {
    stop(place(mark), fmt::format("YAML tags are not used here, got {:.60}: remove it", tag));
  }

  void charge(Where where, std::size_t bytes) {
    bytes_ += bytes;
    if (bytes_ > kMaxYamlBytes) stop(where, "too many values (aliases count as often as they are used)");
  }

  void open(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor, Node::Kind kind) {
    if (!tag.empty() && tag != "?" && tag != "!") refuse_tag(mark, tag);
    const Where where = place(mark);
    if (frames_.size() == kMaxYamlDepth) stop(where, fmt::format("more than {} levels deep", kMaxYamlDepth));
    expect_value(where, "a list or a mapping");
    charge(where, sizeof(Node));
    Frame frame;
    frame.node.kind = kind;
    frame.node.where = where;
    frame.anchor = anchor;
    frames_.push_back(std::move(frame));
  }

  void close() {
    Frame frame = std::move(frames_.back());
    frames_.pop_back();
    remember(frame.node, frame.anchor);
    attach(std::move(frame.node));
  }

  void add(Node node, YAML::anchor_t anchor) {
    charge(node.where, cost(node));
    remember(node, anchor);
    attach(std::move(node));
  }

  void remember(const Node& node, YAML::anchor_t anchor) {
    if (anchor == 0) return;
    charge(node.where, cost(node));
    anchors_[anchor] = node;
  }

  // A mapping that waits for a key takes only a scalar.
  void expect_value(Where where, const char* got) const {
    if (frames_.empty()) return;
    const Frame& parent = frames_.back();
    if (parent.node.kind != Node::Kind::kMap || parent.has_key) return;
    stop(where, fmt::format("expected a key, got {} (put text that holds {{ or [ in quotes)", got));
  }

  void attach(Node node) {
    if (frames_.empty()) {
      root_ = std::move(node);
      return;
    }
    Frame& parent = frames_.back();
    if (parent.node.kind == Node::Kind::kMap && !parent.has_key) {
      const bool scalar = node.kind == Node::Kind::kPlain || node.kind == Node::Kind::kQuoted;
      if (!scalar) expect_value(node.where, node.kind == Node::Kind::kNull ? "null" : "a list or a mapping");
      if (node.kind == Node::Kind::kPlain && node.text == "<<") {
        stop(node.where, "merge keys (<<) are not part of YAML 1.2: write the keys out");
      }
      parent.node.keys.push_back({std::move(node.text), node.where, node.kind == Node::Kind::kQuoted});
      parent.has_key = true;
      return;
    }
    parent.node.items.push_back(std::move(node));
    parent.has_key = false;
  }

  Node root_;
  std::vector<Frame> frames_;
  std::map<YAML::anchor_t, Node> anchors_;
  std::size_t bytes_ = 0;
  int documents_ = 0;
};

struct Hint {
  const char* message;  // of yaml-cpp
  const char* hint;
};
const Hint kHints[] = {
    {YAML::ErrorMsg::UNKNOWN_TOKEN, "; put text that begins with @ or ` in quotes"},
    {YAML::ErrorMsg::MAP_VALUE, "; put text that holds \": \" in quotes, or check the indentation"},
    {YAML::ErrorMsg::END_OF_MAP, "; put text that begins with { or [ in quotes, or check the indentation"},
    {YAML::ErrorMsg::END_OF_SEQ, "; put text that begins with { or [ in quotes, or check the indentation"},
    {YAML::ErrorMsg::END_OF_MAP_FLOW, "; a } is missing, or text that holds { wants quotes"},
    {YAML::ErrorMsg::END_OF_SEQ_FLOW, "; a ] is missing, or text that holds [ wants quotes"},
    {YAML::ErrorMsg::FLOW_END, "; a bracket is missing or one too many"},
    {YAML::ErrorMsg::DOC_IN_SCALAR, "; a quote is not closed"},
};

// yaml-cpp 0.7 says "the referenced anchor is not defined", 0.8 has the name behind it: a message is known by how it begins,
// and what the place in the file says already is dropped.
std::string explain(const std::string& message) {
  for (const Hint& hint : kHints) {
    std::string_view known = hint.message;
    if (!message.starts_with(known.substr(0, known.find(": ")))) continue;
    return fmt::format("not valid YAML: {}{}", known.substr(0, known.find(": ")), hint.hint);
  }
  return "not valid YAML: " + message.substr(0, utf8_prefix(message));
}

std::string_view line_at(std::string_view text, int line) {
  while (--line > 0) text.remove_prefix(std::min(text.find('\n'), text.size() - 1) + 1);
  return text.substr(0, text.find('\n'));
}

// The mistakes that are made most often are seen in the line itself, whatever the library calls them.
std::optional<SyntaxError> common_mistake(std::string_view text, Where where) {
  if (where.line < 1 || where.column < 1) return std::nullopt;
  for (int number = std::max(1, where.line - 1); number <= where.line; ++number) {
    const std::string_view line = line_at(text, number);
    const std::size_t tab = line.substr(0, line.find_first_not_of(" \t")).find('\t');
    if (tab != std::string_view::npos)
      return SyntaxError{{number, static_cast<int>(tab) + 1}, "not valid YAML: a tab; indent with blanks"};
  }
  const std::string_view line = line_at(text, where.line);
  const std::size_t colon = line.find(": -");
  if (colon != std::string_view::npos && line.find_first_not_of(' ', colon + 3) != colon + 3) {
    return SyntaxError{{where.line, static_cast<int>(colon) + 3},
                       "not valid YAML: a list begins on the next line; put text that is - in quotes"};
  }
  for (std::size_t back = 1; back <= 2; ++back) {
    const std::size_t at = static_cast<std::size_t>(where.column) - back;
    if (static_cast<std::size_t>(where.column) < back || at >= line.size() || line[at] != '*') continue;
    return SyntaxError{{where.line, static_cast<int>(at) + 1},
                       "not valid YAML: put text that begins with * in quotes"};
  }
  return std::nullopt;
}

}  // namespace

tl::expected<Node, SyntaxError> parse_yaml(std::string_view text) {
  try {
    // yaml-cpp takes a quote that stays open for one that ends with the file, but minds the end of a document
    // in it.
    const char* end = text.ends_with('\n') ? "...\n" : "\n...\n";
    std::istringstream stream{std::string(text) + end};
    YAML::Parser parser(stream);
    Builder builder;
    while (parser.HandleNextDocument(builder)) {
    }
    if (!builder.any()) return tl::unexpected(SyntaxError{{1, 1}, "the file is empty"});
    return builder.take();
  } catch (const Stop& stopped) {
    return tl::unexpected(stopped.error);
  } catch (const YAML::Exception& error) {
    const Where where = place(error.mark);
    return tl::unexpected(common_mistake(text, where).value_or(SyntaxError{where, explain(error.msg)}));
  }
}

}  // namespace leat::config
