// The steps once more, the slow way: a tree that is parsed, changed and compared. Shares nothing with the
// processor but the digests. Undefined for records with duplicate keys, and for the hash of what is not a
// string.
#pragma once

#include <rapidjson/reader.h>
#include <re2/re2.h>

#include <algorithm>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "config/pipeline.h"
#include "workers/processor/digest.h"

namespace leat::reference {

enum class Kind : std::uint8_t { kNull, kTrue, kFalse, kNumber, kString, kObject, kArray };

struct Tree {
  Kind kind = Kind::kNull;
  std::string text;  // a number as it stands, a string decoded
  std::string key;   // of a member
  std::vector<Tree> items;
  bool gone = false;
  bool kept = false;
  bool on_path = false;

  bool has_items() const { return kind == Kind::kObject || kind == Kind::kArray; }
  bool operator==(const Tree& other) const {
    return kind == other.kind && text == other.text && key == other.key && items == other.items;
  }
};

struct Builder : rapidjson::BaseReaderHandler<rapidjson::UTF8<>, Builder> {
  std::vector<Tree> open{1};  // open[0].items[0] becomes the whole
  std::vector<std::string> keys{""};

  bool add(Kind kind, std::string text = {}) { return add_tree({.kind = kind, .text = std::move(text)}); }
  bool add_tree(Tree tree) {
    tree.key = std::exchange(keys.back(), {});
    open.back().items.push_back(std::move(tree));
    return true;
  }
  bool start(Kind kind) {
    open.push_back({.kind = kind});
    keys.emplace_back();
    return true;
  }
  bool end() {
    Tree tree = std::move(open.back());
    open.pop_back();
    keys.pop_back();
    return add_tree(std::move(tree));
  }
  bool Null() { return add(Kind::kNull); }
  bool Bool(bool value) { return add(value ? Kind::kTrue : Kind::kFalse); }
  bool RawNumber(const char* text, unsigned size, bool) { return add(Kind::kNumber, {text, size}); }
  bool String(const char* text, unsigned size, bool) { return add(Kind::kString, {text, size}); }
  bool Key(const char* text, unsigned size, bool) {
    keys.back().assign(text, size);
    return true;
  }
  bool StartObject() { return start(Kind::kObject); }
  bool StartArray() { return start(Kind::kArray); }
  bool EndObject(unsigned) { return end(); }
  bool EndArray(unsigned) { return end(); }
};

// In place, as RapidJSON's own stack is undefined behaviour while it is empty (an offset from null).
inline std::optional<Tree> parse(std::string json) {
  constexpr unsigned kFlags = rapidjson::kParseNumbersAsStringsFlag | rapidjson::kParseInsituFlag |
                              rapidjson::kParseValidateEncodingFlag;
  Builder builder;
  rapidjson::InsituStringStream stream(json.data());
  rapidjson::Reader reader;
  if (!reader.Parse<kFlags>(stream, builder)) return std::nullopt;
  return std::move(builder.open[0].items[0]);
}

inline bool has_duplicates(const Tree& tree) {
  std::vector<std::string> keys;
  for (const Tree& item : tree.items) {
    if (has_duplicates(item)) return true;
    if (tree.kind == Kind::kObject) keys.push_back(item.key);
  }
  std::sort(keys.begin(), keys.end());
  return std::adjacent_find(keys.begin(), keys.end()) != keys.end();
}

// Byte offset of each code point, and the size.
inline std::vector<std::size_t> code_points(std::string_view text) {
  std::vector<std::size_t> starts;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if ((text[i] & 0xC0) != 0x80) starts.push_back(i);
  }
  starts.push_back(text.size());
  return starts;
}

class Record {
 public:
  explicit Record(Tree tree) : tree_(std::move(tree)) {}
  const Tree& tree() const { return tree_; }

  // Returns the misses; nothing when the step is beyond this reference.
  std::optional<std::uint64_t> apply(const config::Step& step) {
    using Op = config::Step::Op;
    std::uint64_t misses = 0;
    auto count = [&](bool hit) { misses += hit ? 0 : 1; };
    if (step.op == Op::kDrop) misses = drop(step.pointers);
    if (step.op == Op::kKeep) misses = keep(step.pointers);
    for (const auto& [from, to] : step.moves)
      count(step.op == Op::kRename ? rename(from, to) : copy(from, to));
    for (const auto& [field, json] : step.values) {
      count((step.op == Op::kDefault && find(field)) || put(field, *parse(json)));
    }
    if (step.op < Op::kLength) return misses;
    auto from = find(step.from);
    if (!from) return 1;
    Tree value = at(*from);
    bool text = value.kind == Kind::kString;
    switch (step.op) {
      case Op::kLength:
        if (!text && !value.has_items()) return 1;
        count(put(step.to, number(text ? code_points(value.text).size() - 1 : value.items.size())));
        return misses;
      case Op::kTruncate:
        if (value.kind == Kind::kArray && step.length < value.items.size()) value.items.resize(step.length);
        if (text) {
          auto starts = code_points(value.text);
          value.text.resize(starts[std::min<std::size_t>(step.length, starts.size() - 1)]);
        }
        count(text || value.kind == Kind::kArray);
        break;
      case Op::kReplace:
        if (text) RE2::GlobalReplace(&value.text, step.pattern, step.with);
        count(text);
        break;
      case Op::kHash: {
        if (!text) return std::nullopt;
        Tree digest{.kind = Kind::kString,
                    .text = std::string(processor::Digest(step.algorithm).hex(value.text))};
        count(put(step.to, std::move(digest)));
        return misses;
      }
      default:
        break;
    }
    at(*from) = value;
    return misses;
  }

 private:
  using Place = std::vector<std::size_t>;  // which item, level by level

  static Tree number(std::size_t value) { return {.kind = Kind::kNumber, .text = std::to_string(value)}; }

  Tree& at(const Place& place) {
    Tree* tree = &tree_;
    for (std::size_t item : place) tree = &tree->items[item];
    return *tree;
  }

  static std::optional<std::size_t> child(const Tree& tree, const config::PointerToken& token) {
    if (tree.kind == Kind::kArray) {
      return token.index && *token.index < tree.items.size() ? token.index : std::nullopt;
    }
    for (std::size_t i = 0; i < tree.items.size(); ++i) {
      if (tree.items[i].key == token.key) return i;
    }
    return std::nullopt;
  }

  std::optional<Place> find(const config::Pointer& pointer) {
    Place place;
    for (const auto& token : pointer.tokens()) {
      auto item = child(at(place), token);
      if (!item) return std::nullopt;
      place.push_back(*item);
    }
    return place;
  }

  std::optional<Place> make(const config::Pointer& pointer) {
    Place place;
    const auto& tokens = pointer.tokens();
    for (std::size_t depth = 0; depth < tokens.size(); ++depth) {
      Tree& parent = at(place);
      auto item = child(parent, tokens[depth]);
      if (!item) {
        bool next = tokens[depth].key == "-" || tokens[depth].index == parent.items.size();
        if (!parent.has_items() || (parent.kind == Kind::kArray && !next)) return std::nullopt;
        item = parent.items.size();
        Tree made;
        if (depth + 1 < tokens.size())
          made.kind = tokens[depth + 1].key == "-" ? Kind::kArray : Kind::kObject;
        if (parent.kind == Kind::kObject) made.key = tokens[depth].key;
        parent.items.push_back(made);
      }
      place.push_back(*item);
    }
    return tokens.empty() ? std::nullopt : std::optional(place);
  }

  void give(const Place& place, Tree value) {
    value.key = at(place).key;
    at(place) = std::move(value);
  }

  bool put(const config::Pointer& to, Tree value) {
    auto place = make(to);
    if (place) give(*place, std::move(value));
    return place.has_value();
  }

  static void purge(Tree& tree) {
    std::erase_if(tree.items, [](const Tree& item) { return item.gone; });
    for (Tree& item : tree.items) purge(item);
  }

  std::uint64_t drop(const std::vector<config::Pointer>& fields) {
    std::uint64_t misses = 0;
    for (const auto& field : fields) {
      auto place = find(field);
      if (!place || place->empty()) {
        ++misses;
      } else {
        at(*place).gone = true;
      }
    }
    purge(tree_);
    return misses;
  }

  // Marks as gone what is not kept, and takes the marks away.
  static void prune(Tree& tree, bool inside) {
    inside = std::exchange(tree.kept, false) || inside;
    tree.gone = !std::exchange(tree.on_path, false) && !inside;
    for (Tree& item : tree.items) prune(item, inside);
  }

  std::uint64_t keep(const std::vector<config::Pointer>& fields) {
    std::uint64_t misses = 0;
    for (const auto& field : fields) {
      auto place = find(field);
      if (!place) {
        ++misses;
        continue;
      }
      at(*place).kept = true;
      for (; !place->empty(); place->pop_back()) at(*place).on_path = true;
    }
    prune(tree_, false);
    tree_.gone = false;
    purge(tree_);
    return misses;
  }

  bool copy(const config::Pointer& from, const config::Pointer& to) {
    auto place = find(from);
    return place && (from == to || put(to, at(*place)));
  }

  bool rename(const config::Pointer& from, const config::Pointer& to) {
    auto source = find(from);
    if (!source || source->empty()) return false;
    if (from == to) return true;
    const auto& head = from.tokens();
    const auto& tokens = to.tokens();
    if (tokens.size() > head.size() && std::equal(head.begin(), head.end(), tokens.begin())) return false;
    Place above(source->begin(), source->end() - 1);
    Tree& parent = at(above);
    if (parent.kind == Kind::kObject && tokens.size() == head.size() &&
        std::equal(head.begin(), head.end() - 1, tokens.begin())) {
      if (auto other = child(parent, tokens.back())) parent.items[*other].gone = true;
      parent.items[source->back()].key = tokens.back().key;
    } else {
      auto target = make(to);
      if (!target) return false;
      Tree value = at(*source);
      at(*source).gone = true;
      give(*target, std::move(value));
    }
    purge(tree_);
    return true;
  }

  Tree tree_;
};

}  // namespace leat::reference
