// A number is brought to the form 0.DDDD * 10^point, with a first digit that is not 0. In that form there is
// only one way to write each value (but for zeros at the end), so that comparing is: sign, then point, then
// digits from the left. The first 19 digits are kept as one integer (10^19 < 2^64), which is all of them for
// every 64-bit integer that JSON meets in practice and for every double that was printed to be read back (17
// digits); the digits of a longer number are compared in its text. So there is one path, it is exact, and
// nothing about rounding has to be proved.
#include "workers/filter/number.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>

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

static_assert(std::endian::native == std::endian::little,
              "take_eight() reads the first digit as the lowest byte");

unsigned digit_at(const char* at) {
  return static_cast<unsigned>(static_cast<unsigned char>(*at)) - '0';
}

std::int64_t parse_exponent(const char* at, const char* end) {
  const bool negative = *at == '-';
  if (negative || *at == '+') ++at;
  std::int64_t value = 0;
  for (; at != end && value < kExponentCap / 10; ++at) value = value * 10 + digit_at(at);
  if (at != end) value = kExponentCap;
  return negative ? -value : value;
}

const char* skip_digits(const char* at, const char* end) {
  while (at != end && digit_at(at) <= 9) ++at;
  return at;
}

const char* skip_zeros(const char* at, const char* end) {
  while (at != end && *at == '0') ++at;
  return at;
}

// Eight digits at once, or false if one of the eight bytes is none. Neighbours are joined in parallel: digits
// to pairs, pairs to fours, fours to eight. The first digit stands in the lowest byte.
bool take_eight(const char* at, std::uint64_t& value) {
  std::uint64_t bytes = 0;
  std::memcpy(&bytes, at, sizeof(bytes));
  bytes ^= 0x3030303030303030;
  if (((bytes | (bytes + 0x7676767676767676)) & 0x8080808080808080) != 0) return false;
  bytes = (bytes * 10 + (bytes >> 8)) & 0x00ff00ff00ff00ff;
  bytes = (bytes * 100 + (bytes >> 16)) & 0x0000ffff0000ffff;
  value = (bytes * 10'000 + (bytes >> 32)) & 0xffffffff;
  return true;
}

// Appends digits to head until there is none, or kHeadDigits are taken.
const char* take_digits(const char* at, const char* end, std::uint64_t& head, unsigned& taken) {
  std::uint64_t eight = 0;
  while (end - at >= 8 && taken + 8 <= kHeadDigits && take_eight(at, eight)) {
    head = head * 100'000'000 + eight;
    taken += 8;
    at += 8;
  }
  for (; at != end && taken < kHeadDigits && digit_at(at) <= 9; ++at, ++taken)
    head = head * 10 + digit_at(at);
  return at;
}

// Multiplies to 128 bits and folds: every bit of the input reaches every bit of the result.
std::uint64_t mix(std::uint64_t a, std::uint64_t b) {
  const unsigned __int128 product =
      static_cast<unsigned __int128>(a ^ 0x9e3779b97f4a7c15) * (b ^ 0xd1b54a32d192ed03);
  return static_cast<std::uint64_t>(product) ^ static_cast<std::uint64_t>(product >> 64);
}

}  // namespace

bool is_json_number(std::string_view text) {
  const char* at = text.data();
  const char* const end = at + text.size();
  const auto digits = [&] {
    const char* const first = at;
    at = skip_digits(at, end);
    return at != first;
  };
  if (at != end && *at == '-') ++at;
  if (at != end && *at == '0') {
    ++at;
  } else if (!digits()) {
    return false;
  }
  if (at != end && *at == '.') {
    ++at;
    if (!digits()) return false;
  }
  if (at != end && (*at == 'e' || *at == 'E')) {
    ++at;
    if (at != end && (*at == '+' || *at == '-')) ++at;
    if (!digits()) return false;
  }
  return at == end;
}

Number::Number(std::string_view text) {
  const char* at = text.data();
  const char* const end = at + text.size();
  const bool negative = *at == '-';
  at += negative;
  unsigned taken = 0;
  std::int64_t point = 0;
  if (*at == '0') {
    ++at;
  } else {
    at = take_digits(at, end, head_, taken);
    const char* const behind = skip_digits(at, end);
    point = behind - (text.data() + negative);
    rest_ = {at, static_cast<std::size_t>(behind - at)};
    at = behind;
  }
  if (at != end && *at == '.') {
    ++at;
    if (taken == 0) {
      const char* const first = skip_zeros(at, end);
      point = at - first;
      at = first;
    }
    const char* const behind_head = take_digits(at, end, head_, taken);
    const char* const behind = skip_digits(behind_head, end);
    const char* const rest = rest_.empty() ? behind_head : rest_.data();
    rest_ = {rest, static_cast<std::size_t>(behind - rest)};
    at = behind;
  }
  if (taken == 0) return;
  if (at != end) point += parse_exponent(at + 1, end);
  negative_ = negative;
  point_ = point;
  head_ *= kPowersOfTen[kHeadDigits - taken];
  rest_ = rest_.substr(0, rest_.find_last_not_of("0.") + 1);
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
