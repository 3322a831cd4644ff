#include "workers/filter/number.h"

#include <doctest/doctest.h>

#include <random>
#include <string>
#include <vector>

namespace leat::filter {
namespace {

Number n(std::string_view text) {
  return Number(text);
}

void check_equal(std::string_view a, std::string_view b) {
  CAPTURE(a);
  CAPTURE(b);
  CHECK(n(a) == n(b));
  CHECK(n(a).hash() == n(b).hash());
}

void check_less(std::string_view a, std::string_view b) {
  CAPTURE(a);
  CAPTURE(b);
  CHECK(n(a) < n(b));
  CHECK(n(b) > n(a));
}

TEST_CASE("1, 1.0, 1e0 and 10e-1 are one number") {
  for (const char* text :
       {"1.0", "1e0", "10e-1", "1E+0", "0.1e1", "0.0001e4", "1000e-3", "1.000000000000000000000000"}) {
    check_equal("1", text);
  }
}

TEST_CASE("0.1 and 0.10 are one number") {
  check_equal("0.1", "0.10");
}

TEST_CASE("every way to write zero is zero, with any sign and exponent") {
  for (const char* text : {"-0", "0.0", "-0.000", "0e999999999999999999999999", "-0e-5", "0E+7"})
    check_equal("0", text);
  check_less("-1e-400", "0");
  check_less("-0", "1e-400");
}

TEST_CASE("neighbours beyond 2^53 are two numbers") {
  check_less("9007199254740992", "9007199254740993");
  check_less("-9007199254740993", "-9007199254740992");
}

TEST_CASE("64-bit integers are exact up to their ends") {
  check_less("9223372036854775806", "9223372036854775807");
  check_less("18446744073709551614", "18446744073709551615");
  check_less("18446744073709551615", "18446744073709551616");
  check_less("-9223372036854775808", "-9223372036854775807");
}

TEST_CASE("numbers beyond the range of double keep their order") {
  check_less("1e399", "1e400");
  check_less("-1e400", "-1e399");
  check_less("1e-400", "1e-399");
  check_less("9e399", "1e400");
  check_equal("10e399", "1e400");
}

TEST_CASE("long fractions differ in their last digit") {
  check_less("0.12345678901234567890123456788", "0.12345678901234567890123456789");
  check_equal("0.1234567890123456789012345", "0.12345678901234567890123450");
  check_equal("1234567890123456789012.345", "1234567890123456789012345e-3");
  check_less("1234567890123456789012.345", "12345678901234567890123.45");
}

TEST_CASE("a dot among the digits behind the nineteenth makes no difference") {
  check_equal("12345678901234567890.12345", "1234567890123456789012345e-5");
  check_less("12345678901234567890.1234", "1234567890123456789012345e-5");
  check_less("12345678901234567890", "12345678901234567890.000000000000001");
  check_equal("12345678901234567890", "12345678901234567890.000000000000000");
  check_equal("1234567890123456789.5", "12345678901234567895e-1");
}

TEST_CASE("signs order before sizes") {
  check_less("-5", "3");
  check_less("-5", "-3");
  check_less("-3", "0");
  check_less("0", "3");
}

TEST_CASE("exponents of any length neither overflow nor take time") {
  const std::string huge = "1e" + std::string(100'000, '9');
  const std::string tiny = "1e-" + std::string(100'000, '9');
  check_less("1e400", huge);
  check_less(tiny, "1e-400");
  check_less("0", tiny);
  check_less("-" + huge, "-1");
  check_equal("1e007", "10000000");
  check_less("1e99999999999999999", "1e100000000000000000");
  check_less("1e100000000000000000", "1e9999999999999999999");
}

TEST_CASE("integers are integers by value") {
  for (const char* text :
       {"0", "-0.0", "1", "1.0", "1e2", "-12.50e1", "1e400", "123456789012345678901234567890", "1e19",
        "12345678901234567890.0", "1234567890123456789012.5e1", "9007199254740993.000"}) {
    CAPTURE(text);
    CHECK(n(text).is_integer());
  }
  for (const char* text :
       {"0.5", "1e-1", "1.5", "12.55e1", "1e-400", "123456789012345678901234567890.5",
        "1234567890123456789012.55e1", "123456789.0000000001", "0.1234567890123456789012"}) {
    CAPTURE(text);
    CHECK_FALSE(n(text).is_integer());
  }
}

TEST_CASE("the grammar of JSON numbers, and nothing else") {
  for (const char* text : {"0", "-0", "10", "1.5", "1e5", "1E+5", "-1.25e-07"}) CHECK(is_json_number(text));
  for (const char* text : {"", "-", "+1", "01", "-01", ".5", "1.", "1e", "1e+", "1 ", " 1", "0x1", "NaN",
                           "Infinity", "1.e5", "--1", "1e5.0", "1,0"}) {
    CAPTURE(text);
    CHECK_FALSE(is_json_number(text));
  }
}

// Integers below 10^30 as 128-bit integers are the reference; each is written in some way or other.
std::string written(unsigned __int128 value, std::mt19937& random) {
  if (value == 0) return random() % 2 == 0 ? "0" : "0.0e-7";
  std::string digits;
  for (; value != 0; value /= 10) digits.insert(digits.begin(), static_cast<char>('0' + value % 10));
  const std::size_t zeros = random() % 4;
  switch (random() % 4) {
    case 0:
      return digits;
    case 1:
      return digits + "." + std::string(zeros + 1, '0');
    case 2:
      return digits + std::string(zeros, '0') + "e-" + std::to_string(zeros);
    default: {
      const std::size_t whole = 1 + random() % digits.size();
      const std::string fraction = digits.substr(whole) + std::string(zeros + 1, '0');
      return digits.substr(0, whole) + "." + fraction + "E" + std::to_string(digits.size() - whole);
    }
  }
}

TEST_CASE("random numbers, written in random ways, compare as integers do") {
  std::mt19937 random(7);
  for (int round = 0; round < 100'000; ++round) {
    unsigned __int128 a = static_cast<unsigned __int128>(random()) * random() * random();
    for (unsigned shift = random() % 8; shift > 0; --shift) a /= 10'000;
    unsigned __int128 b = a;
    if (random() % 2 == 0) b += random() % 3;
    if (random() % 4 == 0) b *= 10;
    const std::string left = written(a, random);
    const std::string right = written(b, random);
    CAPTURE(left);
    CAPTURE(right);
    REQUIRE((n(left) < n(right)) == (a < b));
    REQUIRE((n(left) == n(right)) == (a == b));
    const std::string minus_left = "-" + left;
    const std::string minus_right = "-" + right;
    REQUIRE((n(minus_left) > n(minus_right)) == (a < b));
    if (a == b) REQUIRE(n(left).hash() == n(right).hash());
    REQUIRE(is_json_number(left));
    REQUIRE(n(left).is_integer());
  }
}

}  // namespace
}  // namespace leat::filter
