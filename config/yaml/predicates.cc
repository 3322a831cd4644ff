#include <fmt/format.h>
#include <re2/re2.h>

#include <algorithm>
#include <iterator>
#include <limits>

#include "config/text.h"
#include "config/yaml/scalar.h"
#include "config/yaml/sections.h"

namespace leat::config {
namespace {

using Op = Predicate::Op;

// What stands behind an operator.
enum class Operand : std::uint8_t {
  kFlag,
  kLiteral,
  kOrdered,
  kLiterals,
  kPath,
  kText,
  kPattern,
  kType,
  kLength
};

// Of the operators in their order; the first three join others.
constexpr std::size_t kJoins = 3;
constexpr Operand kOperands[] = {Operand::kFlag,     Operand::kFlag,     Operand::kLiteral, Operand::kLiteral,
                                 Operand::kOrdered,  Operand::kOrdered,  Operand::kOrdered, Operand::kOrdered,
                                 Operand::kLiterals, Operand::kLiterals, Operand::kPath,    Operand::kPath,
                                 Operand::kText,     Operand::kText,     Operand::kPattern, Operand::kType,
                                 Operand::kLength,   Operand::kLength};
static_assert(kJoins + std::size(kOperands) == std::size(names::kOperators));

class Reader {
 public:
  explicit Reader(const std::string& base_dir) : base_dir_(base_dir) {}

  std::vector<Predicate> list(const Value& value) const {
    std::vector<Predicate> predicates;
    for (std::size_t i = 0; i < value.node().items.size(); ++i)
      predicates.push_back(predicate(value.item(i)));
    return predicates;
  }

 private:
  Predicate predicate(const Value& value) const {
    const Map map(value, keys::kPredicate);
    const auto& names = value.node().keys;
    const auto joins = [](const Node::Key& key) {
      return key.text == "all" || key.text == "any" || key.text == "not";
    };
    const auto join = std::ranges::find_if(names, joins);
    if (join == names.end()) return comparison(map);
    if (names.size() > 1) value.problem_at(*join, fmt::format("{} stands alone in its mapping", join->text));
    return group(map.value().member(static_cast<std::size_t>(join - names.begin())), join->text);
  }

  Predicate group(const Value& value, std::string_view name) const {
    Predicate predicate;
    predicate.where = value.where();
    if (name == "not") {
      predicate.op = Op::kNot;
      predicate.children.push_back(this->predicate(value));
      return predicate;
    }
    predicate.op = name == "all" ? Op::kAll : Op::kAny;
    if (value.list("predicates")) predicate.children = list(value);
    return predicate;
  }

  // {field: ..., OPERATOR: ...}; with several operators all of them hold.
  Predicate comparison(const Map& map) const {
    const Value& value = map.value();
    Predicate all;
    all.where = value.where();
    if (!value.is(Node::Kind::kMap) && !value.is(Node::Kind::kNull)) return all;
    Pointer field;
    if (const auto pointer = map.need("field", "a JSON Pointer such as /score")) {
      field = pointer->pointer(true).value_or(Pointer());
    }
    bool any = false;
    for (std::size_t i = 0; i < value.node().keys.size(); ++i) {
      const std::string& name = value.node().keys[i].text;
      any = any || name != "field";
      const auto known =
          static_cast<std::size_t>(std::ranges::find(names::kOperators, name) - names::kOperators);
      if (known < kJoins || known == std::size(names::kOperators)) continue;
      Predicate one = operation(static_cast<Op>(known), kOperands[known - kJoins], value.member(i));
      one.field = field;
      one.where = value.node().keys[i].where;
      all.children.push_back(std::move(one));
    }
    if (!any) value.problem("an operator is missing: write for example {field: /score, lt: 0.5}");
    if (all.children.size() != 1) return all;
    Predicate only = std::move(all.children[0]);
    only.where = all.where;
    return only;
  }

  Predicate operation(Op op, Operand operand, const Value& value) const {
    Predicate predicate;
    predicate.op = op;
    switch (operand) {
      case Operand::kFlag:
        if (value.boolean() == false) predicate.op = op == Op::kExists ? Op::kMissing : Op::kExists;
        break;
      case Operand::kLiteral:
        if (const auto literal = value.literal()) predicate.values.push_back(*literal);
        break;
      case Operand::kOrdered:
        ordered(value, predicate);
        break;
      case Operand::kLiterals:
        if (const auto items = value.list("strings or numbers")) {
          for (const Value& item : *items) {
            if (const auto literal = item.literal()) predicate.values.push_back(*literal);
          }
        }
        break;
      case Operand::kPath:
        predicate.text = parse_path(value, base_dir_).value_or("");
        break;
      case Operand::kText:
        predicate.text = value.text().value_or("");
        break;
      case Operand::kPattern:
        pattern(value, predicate);
        break;
      case Operand::kType:
        if (const auto type = value.choice(names::kTypes)) predicate.text = names::kTypes[*type];
        break;
      case Operand::kLength:
        predicate.length = static_cast<std::uint64_t>(
            value.integer(0, std::numeric_limits<std::int64_t>::max()).value_or(0));
        break;
    }
    return predicate;
  }

  static void ordered(const Value& value, Predicate& predicate) {
    const Scalar type = scalar_type(value.node());
    if (type != Scalar::kNumber && type != Scalar::kString) {
      value.expected("a number or a string",
                     type == Scalar::kOdd ? "write numbers as JSON has them (16, -2, 0.5, 1e6)" : "");
    } else if (const auto literal = value.literal()) {
      predicate.values.push_back(*literal);
    }
  }

  static void pattern(const Value& value, Predicate& predicate) {
    const auto text = value.text("a regular expression (RE2)");
    if (!text) return;
    const RE2 compiled(*text, RE2::Quiet);
    if (!compiled.ok()) {
      value.problem(
          fmt::format("expected a regular expression (RE2), got {}: {}", in_quotes(*text), compiled.error()));
    }
    predicate.text = *text;
  }

  const std::string& base_dir_;
};

}  // namespace

std::vector<Predicate> parse_predicates(const Value& value, const std::string& base_dir) {
  if (!value.is(Node::Kind::kList)) {
    value.expected("a list of predicates", value.is(Node::Kind::kMap) ? "begin each one with \"- \"" : "");
    return {};
  }
  return Reader(base_dir).list(value);
}

}  // namespace leat::config
