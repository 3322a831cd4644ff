#include "workers/filter/leaf.h"

#include <fmt/format.h>
#include <re2/re2.h>

#include <array>
#include <cstring>
#include <utility>

#include "workers/filter/describe.h"
#include "workers/filter/length.h"
#include "workers/stage/json/text.h"

namespace leat::filter {
namespace {

using config::Literal;
using config::Predicate;
using json::Type;
using json::Value;
using Op = Predicate::Op;

constexpr std::uint8_t kLess = 1;
constexpr std::uint8_t kEqual = 2;
constexpr std::uint8_t kGreater = 4;
constexpr std::size_t kKeptScratchBytes = 64 * 1024;

constexpr std::uint16_t bit(Type type) {
  return static_cast<std::uint16_t>(1u << static_cast<unsigned>(type));
}

constexpr std::uint16_t kBooleans = bit(Type::kTrue) | bit(Type::kFalse);
constexpr std::uint16_t kEveryType = 0xffff;

bool is_string_operator(Op op) {
  return op == Op::kContains || op == Op::kStartsWith || op == Op::kMatches;
}

Type constant_of(const Literal& literal) {
  if (literal.type == Literal::Type::kNull) return Type::kNull;
  return literal.boolean ? Type::kTrue : Type::kFalse;
}

Match yes_if(bool matched) {
  return matched ? Match::kYes : Match::kNo;
}

bool contains(std::string_view text, std::string_view part) {
  return part.empty() || ::memmem(text.data(), text.size(), part.data(), part.size()) != nullptr;
}

}  // namespace

std::string_view Texts::get(std::size_t slot, std::string_view raw) {
  Entry& entry = entries_[slot];
  if (entry.record != record_) {
    if (entry.scratch.capacity() > kKeptScratchBytes && raw.size() <= kKeptScratchBytes)
      entry.scratch = std::string();
    entry.text = json::decode(raw, entry.scratch);
    entry.record = record_;
  }
  return entry.text;
}

Result<const Set*> Sets::load(const std::string& path) {
  for (const Entry& entry : entries_) {
    if (entry.path == path) return entry.set.get();
  }
  Result<Set> set = Set::load(path);
  if (!set) return tl::unexpected<Error>(std::move(set.error()));
  entries_.push_back({path, std::make_unique<Set>(std::move(*set))});
  return entries_.back().set.get();
}

const Set* Sets::keep(Set set) {
  entries_.push_back({"", std::make_unique<Set>(std::move(set))});
  return entries_.back().set.get();
}

std::size_t Sets::memory_bytes() const {
  std::size_t bytes = 0;
  for (const Entry& entry : entries_) bytes += entry.set->memory_bytes();
  return bytes;
}

Leaf::Leaf() = default;
Leaf::Leaf(Leaf&&) noexcept = default;
Leaf& Leaf::operator=(Leaf&&) noexcept = default;
Leaf::~Leaf() = default;

Result<Leaf> Leaf::compile(const Predicate& predicate, json::Paths& paths, Sets& sets) {
  Leaf leaf;
  leaf.slot_ = paths.add(predicate.field);
  leaf.length_ = predicate.length;
  if (is_string_operator(predicate.op)) leaf.types_ = bit(Type::kString);
  leaf.owned_text_ = std::make_unique<const std::string>(predicate.text);
  leaf.text_ = *leaf.owned_text_;

  bool fits = leaf.set_operator(predicate.op);
  if (leaf.orders_ != 0) {
    fits = predicate.values.size() == 1 && leaf.set_literal(predicate.values[0]);
  } else if (predicate.op == Op::kIn || predicate.op == Op::kNotIn) {
    fits = leaf.set_members(predicate.values, sets);
  } else if (predicate.op == Op::kInFile || predicate.op == Op::kNotInFile) {
    const Result<const Set*> set = sets.load(predicate.text);
    if (!set) return tl::unexpected<Error>(set.error());
    leaf.text_set_ = leaf.number_set_ = *set;
    leaf.types_ = bit(Type::kString);
    if ((*set)->number_count() > 0) leaf.types_ |= bit(Type::kNumber);
  } else if (predicate.op == Op::kType) {
    fits = leaf.set_type(predicate.text);
  } else if (predicate.op == Op::kMatches) {
    fits = leaf.set_pattern();
  }
  if (fits) return leaf;
  return fail(Fault::kFatal,
              fmt::format("filter.keep, line {}: `{}` cannot be used: check the value it compares with",
                          predicate.where.line, describe(predicate)),
              kExitConfig);
}

bool Leaf::set_operator(Op op) {
  constexpr std::uint16_t kLengths = bit(Type::kString) | bit(Type::kArray) | bit(Type::kObject);
  switch (op) {
    case Op::kAll:
    case Op::kAny:
    case Op::kNot:
      return false;
    case Op::kExists:
      return true;
    case Op::kMissing:
      negated_ = true;
      return true;
    case Op::kEq:
      orders_ = kEqual;
      return true;
    case Op::kNe:
      orders_ = kEqual;
      negated_ = true;
      return true;
    case Op::kLt:
      orders_ = kLess;
      return true;
    case Op::kLe:
      orders_ = kLess | kEqual;
      return true;
    case Op::kGt:
      orders_ = kGreater;
      return true;
    case Op::kGe:
      orders_ = kGreater | kEqual;
      return true;
    case Op::kIn:
    case Op::kInFile:
      kind_ = Kind::kSet;
      return true;
    case Op::kNotIn:
    case Op::kNotInFile:
      kind_ = Kind::kSet;
      negated_ = true;
      return true;
    case Op::kContains:
      kind_ = Kind::kContains;
      return true;
    case Op::kStartsWith:
      kind_ = Kind::kStartsWith;
      return true;
    case Op::kMatches:
      kind_ = Kind::kMatches;
      return true;
    case Op::kType:
      kind_ = Kind::kType;
      return true;
    case Op::kMinLength:
      kind_ = Kind::kMinLength;
      types_ = kLengths;
      return true;
    case Op::kMaxLength:
      kind_ = Kind::kMaxLength;
      types_ = kLengths;
      return true;
  }
  return false;
}

bool Leaf::set_literal(const Literal& literal) {
  owned_text_ = std::make_unique<const std::string>(literal.text);
  text_ = *owned_text_;
  switch (literal.type) {
    case Literal::Type::kNumber:
      if (!is_json_number(text_)) return false;
      kind_ = Kind::kNumber;
      types_ = bit(Type::kNumber);
      number_ = Number(text_);
      return true;
    case Literal::Type::kString:
      kind_ = Kind::kText;
      types_ = bit(Type::kString);
      return true;
    case Literal::Type::kNull:
    case Literal::Type::kBool:
      kind_ = Kind::kConstant;
      constants_ = bit(constant_of(literal));
      types_ = literal.type == Literal::Type::kNull ? bit(Type::kNull) : kBooleans;
      return orders_ == kEqual;  // nothing is less than null
  }
  return false;
}

bool Leaf::set_members(const std::vector<Literal>& literals, Sets& sets) {
  Set texts;
  Set numbers;
  for (const Literal& literal : literals) {
    if (literal.type == Literal::Type::kString) {
      if (!texts.add(literal.text)) return false;
      types_ |= bit(Type::kString);
    } else if (literal.type == Literal::Type::kNumber) {
      if (!is_json_number(literal.text) || !numbers.add(literal.text)) return false;
      types_ |= bit(Type::kNumber);
    } else {
      constants_ |= bit(constant_of(literal));
      types_ |= literal.type == Literal::Type::kNull ? bit(Type::kNull) : kBooleans;
    }
  }
  texts.seal();
  numbers.seal();
  text_set_ = sets.keep(std::move(texts));
  number_set_ = sets.keep(std::move(numbers));
  return true;
}

bool Leaf::set_type(std::string_view name) {
  constexpr std::array<std::pair<std::string_view, std::uint16_t>, 7> kTypes{{
      {"null", bit(Type::kNull)},
      {"boolean", kBooleans},
      {"number", bit(Type::kNumber)},
      {"integer", bit(Type::kNumber)},
      {"string", bit(Type::kString)},
      {"array", bit(Type::kArray)},
      {"object", bit(Type::kObject)},
  }};
  if (name == "integer") kind_ = Kind::kInteger;
  types_ = kEveryType;  // no type surprises a predicate that asks for it
  for (const auto& [known, types] : kTypes) {
    if (known == name) constants_ = types;
  }
  return constants_ != 0;
}

bool Leaf::set_pattern() {
  re2::RE2::Options options(re2::RE2::Quiet);
  pattern_ = std::make_unique<re2::RE2>(re2::StringPiece(text_.data(), text_.size()), options);
  return pattern_->ok();
}

bool Leaf::accepts(std::strong_ordering order) const {
  const std::uint8_t seen = std::is_lt(order) ? kLess : std::is_gt(order) ? kGreater : kEqual;
  return (orders_ & seen) != 0;
}

Match Leaf::match(const Value& value, Texts& texts) const {
  if (kind_ == Kind::kPresent) return Match::kYes;
  if ((types_ & bit(value.type)) == 0) return Match::kOtherType;
  switch (kind_) {
    case Kind::kPresent:
      break;
    case Kind::kNumber:
      return yes_if(accepts(Number(value.raw) <=> number_));
    case Kind::kConstant:
    case Kind::kType:
      return yes_if((constants_ & bit(value.type)) != 0);
    case Kind::kInteger:
      return yes_if(value.type == Type::kNumber && Number(value.raw).is_integer());
    case Kind::kMinLength:
      return yes_if(has_length(value, length_));
    case Kind::kMaxLength:
      return yes_if(length_ == UINT64_MAX || !has_length(value, length_ + 1));
    case Kind::kSet:
      return match_set(value, texts);
    case Kind::kText:
    case Kind::kContains:
    case Kind::kStartsWith:
    case Kind::kMatches:
      return match_text(value, texts);
  }
  return Match::kYes;
}

Match Leaf::match_set(const Value& value, Texts& texts) const {
  if (value.type == Type::kString) return yes_if(text_set_->has_text(texts.get(slot_, value.raw)));
  if (value.type == Type::kNumber) return yes_if(number_set_->has_number(Number(value.raw)));
  return yes_if((constants_ & bit(value.type)) != 0);
}

Match Leaf::match_text(const Value& value, Texts& texts) const {
  // Decoding never makes a string longer: what is too short raw is too short.
  const std::size_t raw_size = value.raw.size() - 2;
  if (kind_ != Kind::kMatches && kind_ != Kind::kText && raw_size < text_.size()) return Match::kNo;
  if (kind_ == Kind::kText && orders_ == kEqual && raw_size < text_.size()) return Match::kNo;
  const std::string_view text = texts.get(slot_, value.raw);
  switch (kind_) {
    case Kind::kText:
      // string_view compares as unsigned bytes, which is the order of UTF-8.
      return yes_if(orders_ == kEqual ? text == text_ : accepts(text <=> text_));
    case Kind::kContains:
      return yes_if(contains(text, text_));
    case Kind::kStartsWith:
      return yes_if(text.starts_with(text_));
    default:
      return yes_if(re2::RE2::PartialMatch(re2::StringPiece(text.data(), text.size()), *pattern_));
  }
}

}  // namespace leat::filter
