// JSON numbers compared by value, exactly and at any size: 1, 1.0 and 10e-1 are one number, 9007199254740993
// and 9007199254740992 are two, 1e400 is more than 1e399, -0 is 0. No double is involved.
#pragma once

#include <compare>
#include <cstdint>
#include <string_view>

namespace leat::filter {

// Does this match the grammar of JSON numbers (RFC 8259 section 6), with nothing before or behind it?
bool is_json_number(std::string_view text);

class Number {
 public:
  Number() = default;  // zero
  // text: a number as the JSON grammar has it. Borrowed: a Number lives no longer than its text.
  // Exponents beyond +-10^18 count as that; two such numbers may compare equal when they are not.
  explicit Number(std::string_view text);

  std::strong_ordering operator<=>(const Number& other) const;
  bool operator==(const Number& other) const { return std::is_eq(*this <=> other); }

  bool is_integer() const;     // by value, as JSON Schema has it: 1.0 and 1e2 are integers
  std::uint64_t hash() const;  // equal numbers have equal hashes

 private:
  std::strong_ordering compare_magnitude(const Number& other) const;

  bool negative_ = false;
  std::int64_t point_ = INT64_MIN;  // the value is 0.HEADREST * 10^point_; INT64_MIN: zero
  std::uint64_t head_ = 0;          // the first 19 significant digits, filled up with zeros on the right
  std::string_view rest_;  // the digits behind them, up to the last that is not 0; a '.' may stand inside
};

}  // namespace leat::filter
