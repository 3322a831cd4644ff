#include "workers/stage/json/scan.h"

#include <fmt/format.h>

#include <utility>

#include "proto/base/text.h"
#include "workers/stage/json/text.h"

// A record costs one step per structural position, not one per byte: the index has already found every
// bracket, comma, colon and the start of every scalar, so grammar is checked by jumping from one to the next.
// What lies between two positions is either blank, the inside of a string (checked for escapes only) or the
// rest of a number or literal. The walk is a loop with its own stack, so nesting costs no program stack, and
// the depth is bounded.

namespace leat::json {

namespace {

bool is_blank(char c) {
  return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}
bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

std::string shown(std::string_view text, std::size_t at, std::size_t end) {
  if (at >= end) return "the end of the record";
  auto byte = static_cast<unsigned char>(text[at]);
  return byte >= 0x20 && byte < 0x7F ? fmt::format("'{}'", text[at]) : fmt::format("byte 0x{:02x}", byte);
}

// One past the number that starts at `at`, or `at` when there is none (RFC 8259 section 6).
std::size_t number_end(std::string_view text, std::size_t at, std::size_t end) {
  std::size_t i = at;
  auto digits = [&] {
    std::size_t first = i;
    while (i < end && is_digit(text[i])) ++i;
    return i > first;
  };
  if (i < end && text[i] == '-') ++i;
  if (i < end && text[i] == '0') {
    ++i;
  } else if (!digits()) {
    return at;
  }
  if (i < end && text[i] == '.') {
    ++i;
    if (!digits()) return at;
  }
  if (i < end && (text[i] == 'e' || text[i] == 'E')) {
    ++i;
    if (i < end && (text[i] == '+' || text[i] == '-')) ++i;
    if (!digits()) return at;
  }
  return i;
}

// Why the index of one record failed: searched for byte by byte, as this is the rare path.
ScanError diagnose(std::string_view record) {
  std::size_t bad = utf8_prefix(record);
  if (bad < record.size()) {
    return {bad, fmt::format("not valid UTF-8: {}", shown(record, bad, record.size()))};
  }
  bool in_string = false;
  std::size_t opened = 0;
  for (std::size_t i = 0; i < record.size(); ++i) {
    char c = record[i];
    if (in_string && static_cast<unsigned char>(c) < 0x20) {
      return {i, fmt::format("a raw control character ({}) in a string: it must be escaped",
                             shown(record, i, i + 1))};
    }
    if (c == '\\') {
      ++i;
      if (in_string && i < record.size() && static_cast<unsigned char>(record[i]) < 0x20) --i;
    } else if (c == '"') {
      in_string = !in_string;
      opened = i;
    }
  }
  if (in_string) return {opened, "a string that is never closed"};
  return {0, "not JSON"};
}

}  // namespace

std::size_t Paths::add(const config::Pointer& pointer) {
  std::uint32_t at = 0;
  for (const auto& token : pointer.tokens()) {
    std::uint32_t next = 0;
    for (std::uint32_t child : nodes_[at].children) {
      if (nodes_[child].key == token.key) next = child;
    }
    if (next == 0) {
      next = static_cast<std::uint32_t>(nodes_.size());
      Node node;
      node.key = token.key;
      if (token.index) node.index = static_cast<std::int64_t>(*token.index);
      nodes_.push_back(std::move(node));
      nodes_[at].children.push_back(next);
    }
    at = next;
  }
  if (nodes_[at].slot < 0) nodes_[at].slot = static_cast<int>(slots_++);
  return static_cast<std::size_t>(nodes_[at].slot);
}

Scanner::Scanner(Paths paths)
    : paths_(std::move(paths)), levels_(kMaxDepth + 1), seen_(paths_.nodes_.size(), 0) {}

void Scanner::begin(std::string_view records) {
  records_ = records;
  whole_ = index_.build(records) == IndexFault::kNone;
  at_ = index_.positions().data();
}

// Of duplicate keys the first counts: a node is entered once a record.
std::int32_t Scanner::first_visit(std::int32_t node) {
  auto& seen = seen_[static_cast<std::size_t>(node)];
  if (seen == record_) return -1;
  seen = record_;
  return node;
}

std::int32_t Scanner::child_by_key(std::int32_t node, std::string_view raw_key) {
  std::string_view key = raw_key.substr(1, raw_key.size() - 2);
  bool decoded = false;
  for (std::uint32_t child : paths_.nodes_[static_cast<std::size_t>(node)].children) {
    const std::string& wanted = paths_.nodes_[child].key;
    if (!decoded && key.size() > wanted.size() && key.find('\\') != std::string_view::npos) {
      key = decode(raw_key, scratch_);
      decoded = true;
    }
    if (key == wanted) return first_visit(static_cast<std::int32_t>(child));
  }
  return -1;
}

std::int32_t Scanner::child_by_index(std::int32_t node, std::int64_t element) {
  for (std::uint32_t child : paths_.nodes_[static_cast<std::size_t>(node)].children) {
    if (paths_.nodes_[child].index == element) return first_visit(static_cast<std::int32_t>(child));
  }
  return -1;
}

// The state of one walk: where it is, and what it reports.
struct Scanner::Walk {
  Scanner& scanner;
  const std::uint32_t*& at;
  std::string_view text;
  std::size_t begin;
  std::size_t end;
  std::span<Value> values;
  ScanError& error;
  std::size_t depth = 0;

  bool refuse(std::size_t where, std::string reason) {
    error.offset = where - begin;
    error.reason = std::move(reason);
    return false;
  }
  bool expected(std::string_view what, std::size_t where) {
    return refuse(where, fmt::format("expected {}, got {}", what, shown(text, where, end)));
  }
  // The next position, or `end` when the record has no more. Never moves past it.
  std::size_t peek() const { return *at < end ? *at : end; }
  char char_at(std::size_t where) const { return where < end ? text[where] : '\0'; }

  // The string that starts at the position just taken: its raw bytes, or an empty view and an error.
  std::string_view string(std::size_t start) {
    std::size_t stop = peek();
    while (is_blank(text[stop - 1])) --stop;
    // The index has paired the quotes: behind the closing one there are only blanks up to the next position.
    std::string_view raw = text.substr(start, stop - start);
    std::size_t bad = find_bad_escape(raw.substr(1, raw.size() - 2));
    if (bad == std::string_view::npos) return raw;
    refuse(start + 1 + bad, fmt::format("not a valid escape (or half of a surrogate pair): {}",
                                        raw.substr(1 + bad, std::min<std::size_t>(6, raw.size() - 2 - bad))));
    return {};
  }

  // A number or literal at `start`; its end must be followed by a blank, the next position or the end.
  bool scalar(std::size_t start, Value& value) {
    static constexpr std::string_view kWhat = "a value";
    std::size_t stop = start;
    auto literal = [&](std::string_view word, Type type) {
      if (text.substr(start, std::min(word.size(), end - start)) != word) return;
      stop = start + word.size();
      value.type = type;
    };
    switch (text[start]) {
      case 't':
        literal("true", Type::kTrue);
        break;
      case 'f':
        literal("false", Type::kFalse);
        break;
      case 'n':
        literal("null", Type::kNull);
        break;
      default:
        value.type = Type::kNumber;
        stop = number_end(text, start, end);
    }
    if (stop == start) {
      bool numeric = is_digit(text[start]) || text[start] == '-';
      return numeric ? refuse(start, "not a valid number") : expected(kWhat, start);
    }
    if (stop < peek() && !is_blank(text[stop])) {
      return refuse(stop, fmt::format("expected the end of a value, got {}", shown(text, stop, end)));
    }
    value.raw = text.substr(start, stop - start);
    return true;
  }

  void found(std::int32_t node, const Value& value) {
    int slot = scanner.paths_.nodes_[static_cast<std::size_t>(node)].slot;
    if (slot >= 0) values[static_cast<std::size_t>(slot)] = value;
  }

  // Takes a key and its colon; sets node to where the value stands in the tree of paths.
  bool key(std::int32_t parent, std::int32_t& node) {
    std::size_t start = peek();
    if (char_at(start) != '"') return expected("a key in quotes", start);
    ++at;
    std::string_view raw = string(start);
    if (raw.empty()) return false;
    node = parent < 0 ? -1 : scanner.child_by_key(parent, raw);
    std::size_t colon = peek();
    if (char_at(colon) != ':') return expected("':'", colon);
    ++at;
    return true;
  }

  bool open(std::size_t start, bool object, std::int32_t node) {
    if (depth == kMaxDepth) return refuse(start, fmt::format("nested deeper than {} levels", kMaxDepth));
    Level& level = scanner.levels_[depth++];
    level.object = object;
    level.node = node;
    level.begin = static_cast<std::uint32_t>(start);
    level.element = 0;
    return true;
  }

  void close(std::size_t where) {
    const Level& level = scanner.levels_[--depth];
    if (level.node < 0) return;
    found(level.node,
          {level.object ? Type::kObject : Type::kArray, text.substr(level.begin, where + 1 - level.begin)});
  }

  bool run();
};

bool Scanner::Walk::run() {
  std::int32_t node = scanner.first_visit(0);
  for (;;) {
    // A value starts here.
    std::size_t start = peek();
    char c = char_at(start);
    bool opened = false;
    if (c == '{' || c == '[') {
      ++at;
      if (!open(start, c == '{', node)) return false;
      std::size_t next = peek();
      if (char_at(next) == (c == '{' ? '}' : ']') && next < end) {
        ++at;
        close(next);
      } else {
        opened = true;
      }
    } else if (start >= end) {
      return expected("a value", start);
    } else if (c == '"') {
      ++at;
      std::string_view raw = string(start);
      if (raw.empty()) return false;
      if (node >= 0) found(node, {Type::kString, raw});
    } else {
      ++at;
      Value value;
      if (!scalar(start, value)) return false;
      if (node >= 0) found(node, value);
    }
    // Behind a value: a comma, or the end of what holds it, which is a value itself.
    while (!opened) {
      if (depth == 0) {
        std::size_t rest = peek();
        return rest >= end || expected("the end of the record", rest);
      }
      Level& level = scanner.levels_[depth - 1];
      std::size_t next = peek();
      char follows = char_at(next);
      if (next < end && follows == (level.object ? '}' : ']')) {
        ++at;
        close(next);
        continue;
      }
      if (follows != ',') return expected(level.object ? "',' or '}'" : "',' or ']'", next);
      ++at;
      ++level.element;
      break;
    }
    const Level& level = scanner.levels_[depth - 1];
    if (level.object) {
      if (!key(level.node, node)) return false;
    } else {
      node = level.node < 0 ? -1 : scanner.child_by_index(level.node, level.element);
    }
  }
}

bool Scanner::next(std::size_t begin, std::size_t end, std::span<Value> values, ScanError& error) {
  for (Value& value : values) value = Value{};
  ++record_;
  if (whole_) {
    while (*at_ < begin) ++at_;
    Walk walk{*this, at_, records_, begin, end, values, error};
    bool good = walk.run();
    while (*at_ < end) ++at_;
    return good;
  }
  std::string_view record = records_.substr(begin, end - begin);
  if (index_.build(record) != IndexFault::kNone) {
    error = diagnose(record);
    return false;
  }
  const std::uint32_t* at = index_.positions().data();
  Walk walk{*this, at, record, 0, record.size(), values, error};
  return walk.run();
}

}  // namespace leat::json
