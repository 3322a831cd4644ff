#include "config/yaml/value.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <tuple>

#include "config/text.h"
#include "config/units.h"
#include "config/yaml/scalar.h"
#include "proto/base/text.h"

namespace leat::config {
namespace {

using std::chrono::milliseconds;

constexpr std::string_view kOddAdvice =
    "write numbers as JSON has them (16, -2, 0.5, 1e6) and true, false in small letters; put it in quotes if "
    "it is text";

bool knows(Names names, std::string_view name) {
  return std::ranges::find(names, name) != names.end();
}

std::string child_key(const std::string& parent, std::string_view name) {
  return parent.empty() ? std::string(name) : fmt::format("{}.{:.100}", parent, name);
}

// "1m30s" -> "90s": the sum of several, in the smallest of their units; "" when it is no such thing.
std::string sum_hint(std::string_view text) {
  constexpr std::pair<std::string_view, std::uint64_t> kUnits[] = {
      {"ms", 1}, {"s", 1'000}, {"m", 60'000}, {"h", 3'600'000}, {"d", 86'400'000}};
  std::uint64_t sum = 0;
  auto smallest = std::end(kUnits);
  int parts = 0;
  for (; !text.empty(); ++parts) {
    const std::size_t digits = std::min(text.find_first_not_of("0123456789"), text.size());
    const std::size_t end = std::min(text.find_first_of("0123456789", digits), text.size());
    std::uint64_t number = 0;
    std::from_chars(text.data(), text.data() + digits, number);
    const auto* unit =
        std::ranges::find(kUnits, text.substr(digits, end - digits), [](auto& each) { return each.first; });
    if (digits == 0 || digits > 6 || unit == std::end(kUnits)) return "";
    smallest = std::min(smallest, unit);
    sum += number * unit->second;
    text.remove_prefix(end);
  }
  return parts < 2 ? "" : fmt::format("did you mean {}{}?", sum / smallest->second, smallest->first);
}

// "16mb" -> "16MB", "16M" -> "16MiB", "5" -> "5s": the likely meaning of a size or duration that did not
// parse.
std::string unit_hint(std::string_view text, Names units) {
  if (const std::string sum = sum_hint(text); !sum.empty()) return sum;
  const std::size_t count = std::min(text.find_first_not_of("0123456789"), text.size());
  if (count == 0 || count > 18) return "";
  std::string_view unit = text.substr(count);
  while (unit.starts_with(' ')) unit.remove_prefix(1);
  const auto same = [](char a, char b) { return (a | 0x20) == (b | 0x20); };
  const auto spelt = [&](std::string_view name) { return std::ranges::equal(unit, name, same); };
  const auto begins = [&](std::string_view name) { return unit.empty() || same(unit[0], name[0]); };
  auto found = std::ranges::find_if(units, spelt);
  if (found == units.end()) found = std::ranges::find_if(units, begins);
  return found == units.end() ? "" : fmt::format("did you mean {}{}?", text.substr(0, count), *found);
}

}  // namespace

void Problems::add(Where where, std::string key, std::string text) {
  if (problems_.size() < kMaxProblems) {
    problems_.push_back({file_, where, std::move(key), std::move(text)});
  } else {
    ++left_out_;
  }
}

std::vector<Problem> Problems::take() {
  std::ranges::stable_sort(problems_, {}, [](const Problem& problem) {
    return std::tuple(problem.where.line, problem.where.column);
  });
  if (left_out_ > 0) problems_.push_back({file_, {}, "", fmt::format("and {} more problems", left_out_)});
  return std::move(problems_);
}

void Value::problem_at(const Node::Key& name, std::string text) const {
  problems_->add(name.where, child_key(key_, name.text), std::move(text));
}

void Value::expected(std::string_view what, std::string_view advice) const {
  problem(fmt::format("expected {}, got {}{}{}", what, describe(*node_), advice.empty() ? "" : "; ", advice));
}

Value Value::item(std::size_t index) const {
  return {node_->items[index], fmt::format("{}[{}]", key_, index), *problems_};
}

Value Value::member(std::size_t index) const {
  return {node_->items[index], child_key(key_, node_->keys[index].text), *problems_};
}

std::optional<std::vector<Value>> Value::list(std::string_view what) const {
  if (!is(Node::Kind::kList)) {
    expected(fmt::format("a list of {}", what),
             is(Node::Kind::kMap) ? "begin each item with \"- \"" : "put it in [ ]");
    return std::nullopt;
  }
  if (node_->items.empty()) {
    problem(fmt::format("expected at least one of {}, got an empty list", what));
    return std::nullopt;
  }
  std::vector<Value> values;
  for (std::size_t i = 0; i < node_->items.size(); ++i) values.push_back(item(i));
  return values;
}

std::optional<std::string> Value::text(std::string_view what) const {
  switch (scalar_type(*node_)) {
    case Scalar::kString:
      return node_->text;
    case Scalar::kNull:
      expected(what);
      break;
    case Scalar::kNone:
      expected(what, is(Node::Kind::kMap) ? "put text that holds { in quotes" : "");
      break;
    default:
      expected(what, fmt::format("put it in quotes: '{:.60}'", node_->text));
  }
  return std::nullopt;
}

std::optional<bool> Value::boolean() const {
  const Scalar type = scalar_type(*node_);
  if (type == Scalar::kTrue || type == Scalar::kFalse) return type == Scalar::kTrue;
  expected("true or false");
  return std::nullopt;
}

std::optional<std::int64_t> Value::integer(std::int64_t least, std::int64_t most) const {
  std::int64_t number = 0;
  if (scalar_type(*node_) == Scalar::kNumber) {
    const char* end = node_->text.data() + node_->text.size();
    const auto parsed = std::from_chars(node_->text.data(), end, number);
    if (parsed.ec == std::errc() && parsed.ptr == end && number >= least && number <= most) return number;
  }
  expected(fmt::format("a whole number from {} to {}", least, most));
  return std::nullopt;
}

std::optional<std::uint64_t> Value::size(std::uint64_t least, std::uint64_t most) const {
  static constexpr std::string_view kUnits[] = {"MiB", "KiB", "GiB", "KB", "MB", "GB", "B"};
  const auto bytes = parse_size(node_->text);
  if (!bytes) {
    expected("a size such as 16MiB (units B KiB MiB GiB KB MB GB)", unit_hint(node_->text, kUnits));
  } else if (*bytes < least || *bytes > most) {
    expected(fmt::format("a size from {} to {}", format_size(least), format_size(most)));
  } else {
    return bytes;
  }
  return std::nullopt;
}

std::optional<milliseconds> Value::duration(milliseconds least, milliseconds most) const {
  static constexpr std::string_view kUnits[] = {"s", "m", "ms", "h", "d"};
  const auto time = parse_duration(node_->text);
  if (!time) {
    expected("a duration such as 10s (units ms s m h d)", unit_hint(node_->text, kUnits));
  } else if (*time < least || *time > most) {
    expected(fmt::format("a duration from {} to {}", format_duration(least), format_duration(most)));
  } else {
    return time;
  }
  return std::nullopt;
}

std::optional<std::size_t> Value::choice(Names names) const {
  const std::string& word = is(Node::Kind::kNull) ? "null" : node_->text;
  for (std::size_t i = 0; i < names.size(); ++i) {
    if (names[i] == word) return i;
  }
  problem(fmt::format("expected one of {}, got {}{}", joined(names), describe(*node_),
                      did_you_mean(word, names)));
  return std::nullopt;
}

std::optional<Literal> Value::literal() const {
  const Scalar type = scalar_type(*node_);
  Literal literal;
  switch (type) {
    case Scalar::kNull:
      return literal;
    case Scalar::kTrue:
    case Scalar::kFalse:
      literal.type = Literal::Type::kBool;
      literal.boolean = type == Scalar::kTrue;
      return literal;
    case Scalar::kNumber:
    case Scalar::kString:
      literal.type = type == Scalar::kNumber ? Literal::Type::kNumber : Literal::Type::kString;
      literal.text = node_->text;
      return literal;
    default:
      expected("a string, a number, true, false or null", type == Scalar::kOdd ? kOddAdvice : "");
      return std::nullopt;
  }
}

std::optional<Pointer> Value::pointer(bool empty) const {
  const auto written = text("a JSON Pointer such as /meta/host");
  if (!written) return std::nullopt;
  auto parsed = Pointer::parse(*written);
  if (!parsed) {
    problem(parsed.error().text);
  } else if (parsed->empty() && !empty) {
    problem("expected a JSON Pointer to a field such as /meta/host, got \"\", which is the whole record");
  } else {
    return *std::move(parsed);
  }
  return std::nullopt;
}

std::optional<std::string> Value::json() const {
  std::string out;
  if (!append_json(out)) return std::nullopt;
  return out;
}

bool Value::append_json(std::string& out) const {
  bool good = true;
  if (is(Node::Kind::kList)) {
    out += '[';
    for (std::size_t i = 0; i < node_->items.size(); ++i) {
      if (i > 0) out += ',';
      good = item(i).append_json(out) && good;
    }
    out += ']';
  } else if (is(Node::Kind::kMap)) {
    out += '{';
    for (std::size_t i = 0; i < node_->items.size(); ++i) {
      if (i > 0) out += ',';
      append_quoted(out, node_->keys[i].text);
      out += ':';
      good = member(i).append_json(out) && good;
    }
    out += '}';
  } else if (const auto value = literal()) {
    if (value->type == Literal::Type::kNull) out += "null";
    if (value->type == Literal::Type::kBool) out += value->boolean ? "true" : "false";
    if (value->type == Literal::Type::kNumber) out += value->text;
    if (value->type == Literal::Type::kString) append_quoted(out, value->text);
  } else {
    return false;
  }
  return good;
}

Map::Map(const Value& value, const KeyTable& table) : value_(value) {
  if (value.is(Node::Kind::kNull) || value.is(Node::Kind::kMap)) {
    for (const Node::Key& key : value.node().keys) {
      if (knows(table.later, key.text)) {
        value.problem_at(key, "not supported yet by this version of leat: remove the key");
      } else if (!knows(table.keys, key.text)) {
        std::string advice = did_you_mean(key.text, table.keys);
        if (key.text.find(':') != std::string::npos) advice = "; write a blank behind the colon";
        if (advice.empty()) advice = fmt::format("; known here: {}", joined(table.keys));
        value.problem_at(key, "unknown key" + advice);
      }
    }
  } else {
    value.expected(fmt::format("a mapping with {}", joined(table.keys)));
  }
}

std::optional<Value> Map::find(std::string_view name) const {
  const auto& names = value_.node().keys;
  for (std::size_t i = 0; i < names.size(); ++i) {
    if (names[i].text == name) return value_.member(i);
  }
  return std::nullopt;
}

std::optional<Value> Map::need(std::string_view name, std::string_view what) const {
  auto value = find(name);
  const bool mapping = value_.is(Node::Kind::kMap) || value_.is(Node::Kind::kNull);
  if (!value && mapping) value_.problem(fmt::format("the key {} is missing: it takes {}", name, what));
  return value;
}

void Map::size(std::string_view name, std::uint64_t& out, std::uint64_t least, std::uint64_t most) const {
  if (const auto value = find(name)) out = value->size(least, most).value_or(out);
}

void Map::duration(std::string_view name, milliseconds& out, milliseconds least, milliseconds most) const {
  if (const auto value = find(name)) out = value->duration(least, most).value_or(out);
}

void Map::integer(std::string_view name, int& out, int least, int most) const {
  if (const auto value = find(name)) out = static_cast<int>(value->integer(least, most).value_or(out));
}

}  // namespace leat::config
