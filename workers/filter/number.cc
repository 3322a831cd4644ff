// A number is brought to the form 0.DDDD * 10^point, with a first digit that is not 0. In that form there is
// only one way to write each value (but for zeros at the end), so that comparing is: sign, then point, then
// digits from the left. The first 19 digits are kept as one integer (10^19 < 2^64), which is all of them for
// every 64-bit integer that JSON meets in practice and for every double that was printed to be read back (17
// digits); the digits of a longer number are compared in its text. So there is one exact path, as fast as one
// over doubles, and nothing to prove about rounding.
#include "workers/filter/number.h"

#include <algorithm>
#include <array>

namespace leat::filter {
namespace {

constexpr unsigned kHeadDigits = 19;
constexpr std::int64_t kExponentCap = 1'000'000'000'000'000'000;  // leaves room to add the length of any text

constexpr std::array<std::uint64_t, kHeadDigits + 1> powers_of_ten() {
  std::array<std::uint64_t, kHeadDigits + 1> powers{1};
  for (std::size_t i = 1; i < powers.size(); ++i) powers[i] = powers[i - 1] * 10;
  return powers;
}
constexpr std::array<std::uint64_t, kHeadDigits + 1> kPowersOfTen = powers_of_ten();

unsigned digit_at(const char* at) {
  return static_cast<unsigned>(static_cast<unsigned char>(*at)) - '0';
}

std::int64_t parse_exponent(const char* at, const char* end) {
  const bool negative = *at == '-';
  if (negative || *at == '+') ++at;
  std::int64_t value = 0;
  for (; at != end && value < kExponentCap; ++at) value = value * 10 + digit_at(at);
  value = std::min(value, kExponentCap);
  return negative ? -value : value;
}

std::size_t skip_digits(std::string_view text, std::size_t from) {
  while (from < text.size() && digit_at(text.data() + from) <= 9) ++from;
  return from;
}

// Multiplies to 128 bits and folds: every bit of the input reaches every bit of the result.
std::uint64_t mix(std::uint64_t a, std::uint64_t b) {
  const unsigned __int128 product =
      static_cast<unsigned __int128>(a ^ 0x9e3779b97f4a7c15) * (b ^ 0xd1b54a32d192ed03);
  return static_cast<std::uint64_t>(product) ^ static_cast<std::uint64_t>(product >> 64);
}

}  // namespace

bool is_json_number(std::string_view text) {
  std::size_t at = !text.empty() && text[0] == '-' ? 1 : 0;
  const std::size_t integer = at;
  at = skip_digits(text, at);
  if (at == integer || (text[integer] == '0' && at > integer + 1)) return false;
  if (at < text.size() && text[at] == '.') {
    const std::size_t fraction = at + 1;
    at = skip_digits(text, fraction);
    if (at == fraction) return false;
  }
  if (at < text.size() && (text[at] == 'e' || text[at] == 'E')) {
    ++at;
    if (at < text.size() && (text[at] == '+' || text[at] == '-')) ++at;
    const std::size_t exponent = at;
    at = skip_digits(text, exponent);
    if (at == exponent) return false;
  }
  return at == text.size();
}

Number::Number(std::string_view text) {
  const char* at = text.data();
  const char* const end = at + text.size();
  const bool negative = *at == '-';
  at += negative;
  unsigned taken = 0;
  bool fraction = false;
  std::int64_t point = 0;
  const char* rest_begin = end;
  const char* rest_end = end;
  for (; at != end; ++at) {
    const unsigned digit = digit_at(at);
    if (digit > 9) {
      if (*at != '.') break;
      fraction = true;
    } else if (taken == 0 && digit == 0) {
      point -= fraction;
    } else {
      point += !fraction;
      if (taken < kHeadDigits) {
        head_ = head_ * 10 + digit;
        ++taken;
      } else {
        if (rest_begin == end) rest_begin = rest_end = at;
        if (digit != 0) rest_end = at + 1;
      }
    }
  }
  if (taken == 0) return;
  if (at != end) point += parse_exponent(at + 1, end);
  negative_ = negative;
  point_ = point;
  head_ *= kPowersOfTen[kHeadDigits - taken];
  rest_ = {rest_begin, static_cast<std::size_t>(rest_end - rest_begin)};
}

std::strong_ordering Number::operator<=>(const Number& other) const {
  if (negative_ != other.negative_) {
    return negative_ ? std::strong_ordering::less : std::strong_ordering::greater;
  }
  return negative_ ? other.compare_magnitude(*this) : compare_magnitude(other);
}

std::strong_ordering Number::compare_magnitude(const Number& other) const {
  if (point_ != other.point_) return point_ <=> other.point_;
  if (head_ != other.head_ || (rest_.empty() && other.rest_.empty())) return head_ <=> other.head_;
  std::size_t mine = 0;
  std::size_t its = 0;
  for (;; ++mine, ++its) {
    if (mine < rest_.size() && rest_[mine] == '.') ++mine;
    if (its < other.rest_.size() && other.rest_[its] == '.') ++its;
    // Neither ends in 0, so that the one with digits left is the larger one.
    if (mine >= rest_.size() || its >= other.rest_.size()) {
      return rest_.size() - std::min(mine, rest_.size()) <=>
             other.rest_.size() - std::min(its, other.rest_.size());
    }
    if (rest_[mine] != other.rest_[its]) return rest_[mine] <=> other.rest_[its];
  }
}

bool Number::is_integer() const {
  if (head_ == 0) return true;
  if (!rest_.empty()) {
    const std::size_t digits = kHeadDigits + rest_.size() - (rest_.find('.') != rest_.npos ? 1 : 0);
    return point_ >= static_cast<std::int64_t>(digits);
  }
  if (point_ <= 0) return false;
  return point_ >= kHeadDigits || head_ % kPowersOfTen[static_cast<std::size_t>(kHeadDigits - point_)] == 0;
}

std::uint64_t Number::hash() const {
  std::uint64_t hash = mix(head_, static_cast<std::uint64_t>(point_) * 2 + (negative_ ? 1 : 0));
  for (const char byte : rest_) {
    if (byte != '.') hash = mix(hash, static_cast<unsigned char>(byte));
  }
  return hash;
}

}  // namespace leat::filter
