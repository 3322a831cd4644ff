#include "workers/filter/describe.h"

#include <fmt/format.h>

#include <cstdio>

#include "proto/base/text.h"
#include "proto/explain.h"
#include "workers/filter/predicates.h"
#include "workers/stage/worker.h"

namespace leat::filter {
namespace {

using config::Literal;
using config::Predicate;
using Op = Predicate::Op;

constexpr std::size_t kListedValues = 8;

std::string in_quotes(std::string_view text) {
  std::string out;
  append_quoted(out, text);
  return out;
}

std::string literal(const Literal& value) {
  switch (value.type) {
    case Literal::Type::kNull:
      return "null";
    case Literal::Type::kBool:
      return value.boolean ? "true" : "false";
    case Literal::Type::kNumber:
      return value.text;
    case Literal::Type::kString:
      return in_quotes(value.text);
  }
  return {};
}

std::string list(const std::vector<Literal>& values) {
  std::string out = "[";
  for (std::size_t i = 0; i < values.size() && i < kListedValues; ++i) {
    out += (i > 0 ? ", " : "") + literal(values[i]);
  }
  if (values.size() > kListedValues) out += fmt::format(", ... {} more", values.size() - kListedValues);
  return out + "]";
}

std::string joined(const std::vector<Predicate>& children, std::string_view word) {
  std::string out = "(";
  for (std::size_t i = 0; i < children.size(); ++i) {
    if (i > 0) out += word;
    out += describe(children[i]);
  }
  return out + ")";
}

std::string condition(const Predicate& predicate) {
  const auto value = [&] { return predicate.values.empty() ? std::string() : literal(predicate.values[0]); };
  switch (predicate.op) {
    case Op::kAll:
    case Op::kAny:
    case Op::kNot:
      break;
    case Op::kExists:
      return "exists";
    case Op::kMissing:
      return "is missing";
    case Op::kEq:
      return "== " + value();
    case Op::kNe:
      return "!= " + value();
    case Op::kLt:
      return "< " + value();
    case Op::kLe:
      return "<= " + value();
    case Op::kGt:
      return "> " + value();
    case Op::kGe:
      return ">= " + value();
    case Op::kIn:
      return "in " + list(predicate.values);
    case Op::kNotIn:
      return "not in " + list(predicate.values);
    case Op::kInFile:
      return "in file " + predicate.text;
    case Op::kNotInFile:
      return "not in file " + predicate.text;
    case Op::kContains:
      return "contains " + in_quotes(predicate.text);
    case Op::kStartsWith:
      return "starts with " + in_quotes(predicate.text);
    case Op::kMatches:
      return "matches " + in_quotes(predicate.text);
    case Op::kType:
      return "has type " + predicate.text;
    case Op::kMinLength:
      return fmt::format("has length >= {}", predicate.length);
    case Op::kMaxLength:
      return fmt::format("has length <= {}", predicate.length);
  }
  return {};
}

}  // namespace

std::string describe(const Predicate& predicate) {
  switch (predicate.op) {
    case Op::kAll:
      return joined(predicate.children, " and ");
    case Op::kAny:
      return joined(predicate.children, " or ");
    case Op::kNot:
      return "not " + joined(predicate.children, ", ");
    default:
      break;
  }
  return (predicate.field.empty() ? "record" : predicate.field.text()) + " " + condition(predicate);
}

int print_description(const config::Pipeline& pipeline) {
  json::Paths paths;
  auto predicates = stage::value_or_fatal(Predicates::compile(pipeline.filter.keep, paths));
  proto::FilterPlan plan{{}, predicates.memory_bytes()};
  for (const auto& predicate : pipeline.filter.keep) plan.predicates.push_back(describe(predicate));
  std::printf("%s\n", encode_fields(plan).c_str());
  return kExitOk;
}

}  // namespace leat::filter
