// What each operator says of each type of value.
#include "workers/filter/leaf.h"

#include <algorithm>

#include "tests/unit/filter/support.h"
#include "workers/filter/describe.h"

namespace leat::filter {
namespace {

constexpr const char* kNull = "null";
constexpr const char* kTrue = "true";
constexpr const char* kFalse = "false";
constexpr const char* kNumber = "7";
constexpr const char* kString = R"("seven")";
constexpr const char* kObject = R"({"b":1})";
constexpr const char* kArray = "[7]";
constexpr const char* kEveryValue[] = {kNull, kTrue, kFalse, kNumber, kString, kObject, kArray};

// What was counted on this record: {missing, other type}.
using Surprises = std::pair<std::uint64_t, std::uint64_t>;
const Surprises kNone{0, 0};
const Surprises kMissing{1, 0};
const Surprises kOther{0, 1};

Surprises surprises(const Predicate& predicate, std::string_view record) {
  Asked asked({predicate});
  static_cast<void>(asked.keep(record));
  const auto tally = asked.predicates().tallies().at(0);
  return {tally.missing, tally.other_type};
}
Surprises surprises_at(const Predicate& predicate, std::string_view value) {
  return surprises(predicate, "{\"a\":" + std::string(value) + "}");
}

TEST_CASE("every plain operator is false on a missing field, and counts it") {
  const TemporaryFile file("x\n");
  for (const Predicate& predicate :
       {leaf("/a", Op::kEq, {number("1")}), leaf("/a", Op::kLt, {number("1")}),
        leaf("/a", Op::kLe, {string("x")}), leaf("/a", Op::kGt, {number("1")}),
        leaf("/a", Op::kGe, {string("x")}), leaf("/a", Op::kIn, {string("x")}),
        leaf("/a", Op::kInFile, file.path()), leaf("/a", Op::kContains, "x"),
        leaf("/a", Op::kStartsWith, "x"), leaf("/a", Op::kMatches, "x"), leaf("/a", Op::kType, "string"),
        length_leaf("/a", Op::kMinLength, 0), length_leaf("/a", Op::kMaxLength, 9)}) {
    CAPTURE(describe(predicate));
    CHECK_FALSE(Asked({predicate}).keep(R"({"b":1})"));
    CHECK(surprises(predicate, R"({"b":1})") == kMissing);
  }
}

TEST_CASE("ne, not_in and not_in_file are true on a missing field, and count it") {
  const TemporaryFile file("x\n");
  for (const Predicate& predicate :
       {leaf("/a", Op::kNe, {number("1")}), leaf("/a", Op::kNotIn, {number("1")}),
        leaf("/a", Op::kNotInFile, file.path())}) {
    CAPTURE(describe(predicate));
    CHECK(Asked({predicate}).keep(R"({"b":1})"));
    CHECK(surprises(predicate, R"({"b":1})") == kMissing);
  }
}

TEST_CASE("ne, not_in and not_in_file are true on another type, and count it") {
  const TemporaryFile file("x\n");
  for (const Predicate& predicate :
       {leaf("/a", Op::kNe, {string("1")}), leaf("/a", Op::kNotIn, {string("1")}),
        leaf("/a", Op::kNotInFile, file.path())}) {
    for (const char* value : {kNull, kTrue, kNumber, kObject, kArray}) {
      CAPTURE(describe(predicate));
      CAPTURE(value);
      CHECK(holds(predicate, value));
      CHECK(surprises_at(predicate, value) == kOther);
    }
  }
}

TEST_CASE("exists is true for every value, null too; it is never surprised") {
  for (const char* value : kEveryValue) CHECK(holds(leaf("/a", Op::kExists), value));
  CHECK_FALSE(Asked({leaf("/a", Op::kExists)}).keep("{}"));
  CHECK(surprises(leaf("/a", Op::kExists), "{}") == kNone);
}

TEST_CASE("missing is the opposite of exists, and never surprised") {
  for (const char* value : kEveryValue) CHECK_FALSE(holds(leaf("/a", Op::kMissing), value));
  CHECK(Asked({leaf("/a", Op::kMissing)}).keep("{}"));
  CHECK(surprises(leaf("/a", Op::kMissing), "{}") == kNone);
}

TEST_CASE("eq compares numbers by value") {
  const Predicate one = leaf("/a", Op::kEq, {number("1")});
  for (const char* value : {"1", "1.0", "1e0", "10e-1"}) CHECK(holds(one, value));
  for (const char* value : {"2", "-1", "1.0000000000000000000001"}) CHECK_FALSE(holds(one, value));
  CHECK(holds(leaf("/a", Op::kEq, {number("0")}), "-0"));
  CHECK(holds(leaf("/a", Op::kEq, {number("0.1")}), "0.10"));
}

TEST_CASE("eq tells neighbours beyond 2^53 apart") {
  const Predicate big = leaf("/a", Op::kEq, {number("9007199254740993")});
  CHECK(holds(big, "9007199254740993"));
  CHECK_FALSE(holds(big, "9007199254740992"));
}

TEST_CASE("a number in the config that is longer than nineteen digits compares to its last digit") {
  const Predicate big = leaf("/a", Op::kEq, {number("123456789012345678901234567890")});
  CHECK(holds(big, "123456789012345678901234567890"));
  CHECK_FALSE(holds(big, "123456789012345678901234567891"));
}

TEST_CASE("eq with a string compares decoded") {
  const Predicate eq = leaf("/a", Op::kEq, {string("a\"b\u00e9")});
  CHECK(holds(eq, R"("a\"b\u00e9")"));
  CHECK(holds(eq, "\"\\u0061\\u0022b\u00e9\""));
  CHECK_FALSE(holds(eq, R"("a\"b\u00e8")"));
  CHECK_FALSE(holds(leaf("/a", Op::kEq, {string("n")}), R"("\n")"));
  CHECK(holds(leaf("/a", Op::kEq, {string("")}), R"("")"));
}

TEST_CASE("eq with null, true and false") {
  CHECK(holds(leaf("/a", Op::kEq, {null()}), "null"));
  CHECK(holds(leaf("/a", Op::kEq, {boolean(true)}), "true"));
  CHECK(holds(leaf("/a", Op::kEq, {boolean(false)}), "false"));
  CHECK_FALSE(holds(leaf("/a", Op::kEq, {boolean(true)}), "false"));
  CHECK_FALSE(holds(leaf("/a", Op::kEq, {null()}), "false"));
}

TEST_CASE("false where true is wanted is an answer, null is another type") {
  CHECK(surprises_at(leaf("/a", Op::kEq, {boolean(true)}), "false") == kNone);
  CHECK(surprises_at(leaf("/a", Op::kEq, {boolean(true)}), "null") == kOther);
}

TEST_CASE("eq on another type is false, and counted") {
  for (const char* value : {kNull, kTrue, kString, kObject, kArray}) {
    CHECK_FALSE(holds(leaf("/a", Op::kEq, {number("1")}), value));
    CHECK(surprises_at(leaf("/a", Op::kEq, {number("1")}), value) == kOther);
  }
  CHECK_FALSE(holds(leaf("/a", Op::kEq, {string("7")}), "7"));
  CHECK_FALSE(holds(leaf("/a", Op::kEq, {number("7")}), R"("7")"));
}

TEST_CASE("ne is the opposite of eq") {
  CHECK(holds(leaf("/a", Op::kNe, {number("1")}), "2"));
  CHECK_FALSE(holds(leaf("/a", Op::kNe, {number("1")}), "1.0"));
  CHECK(holds(leaf("/a", Op::kNe, {string("x")}), R"("y")"));
  CHECK_FALSE(holds(leaf("/a", Op::kNe, {string("x")}), R"("\u0078")"));
}

TEST_CASE("lt, le, gt, ge on numbers") {
  const auto with = [](Op op) { return leaf("/a", op, {number("0.5")}); };
  CHECK(holds(with(Op::kLt), "0.49"));
  CHECK_FALSE(holds(with(Op::kLt), "0.50"));
  CHECK(holds(with(Op::kLe), "0.50"));
  CHECK_FALSE(holds(with(Op::kLe), "0.500000000000000000000000000001"));
  CHECK(holds(with(Op::kGt), "0.500000000000000000000000000001"));
  CHECK_FALSE(holds(with(Op::kGt), "5e-1"));
  CHECK(holds(with(Op::kGe), "5e-1"));
  CHECK_FALSE(holds(with(Op::kGe), "-7"));
}

TEST_CASE("order holds beyond the range of double") {
  CHECK(holds(leaf("/a", Op::kGt, {number("1e399")}), "1e400"));
  CHECK_FALSE(holds(leaf("/a", Op::kGt, {number("1e400")}), "1e399"));
  CHECK_FALSE(holds(leaf("/a", Op::kGe, {number("1e400")}), "9.99e399"));
}

TEST_CASE("lt, le, gt, ge on strings go by the bytes of the decoded text") {
  const auto with = [](Op op) { return leaf("/a", op, {string("m")}); };
  CHECK(holds(with(Op::kLt), R"("lzz")"));
  CHECK(holds(with(Op::kLt), R"("")"));
  CHECK_FALSE(holds(with(Op::kLt), R"("m")"));
  CHECK(holds(with(Op::kLe), R"("\u006d")"));
  CHECK(holds(with(Op::kGt), R"("ma")"));
  CHECK(holds(with(Op::kGt), "\"\u00e9\""));
  CHECK(holds(with(Op::kGt), R"("\u00e9")"));
  CHECK(holds(with(Op::kLt), R"("\n")"));
  CHECK_FALSE(holds(with(Op::kGe), R"("M")"));
}

TEST_CASE("order between a number and a string is another type") {
  CHECK_FALSE(holds(leaf("/a", Op::kLt, {number("5")}), R"("1")"));
  CHECK(surprises_at(leaf("/a", Op::kLt, {number("5")}), R"("1")") == kOther);
  CHECK(surprises_at(leaf("/a", Op::kLt, {string("5")}), "1") == kOther);
}

TEST_CASE("in takes members of every type, each by its own rule") {
  const Predicate in = leaf("/a", Op::kIn, {null(), boolean(true), number("1"), string("x\ny")});
  for (const char* value : {"null", "true", "1.00", R"("x\ny")", R"("\u0078\u000ay")"})
    CHECK(holds(in, value));
  for (const char* value : {"false", "2", R"("1")", R"("x")", "[1]", "{}"}) CHECK_FALSE(holds(in, value));
}

TEST_CASE("in counts another type only if no member has the type of the value") {
  const Predicate in = leaf("/a", Op::kIn, {string("x")});
  CHECK(surprises_at(in, R"("y")") == kNone);
  CHECK(surprises_at(in, "1") == kOther);
  CHECK(surprises_at(in, "null") == kOther);
  CHECK(surprises_at(leaf("/a", Op::kIn, {boolean(true)}), "false") == kNone);
}

TEST_CASE("in keeps a string and a number of the same text apart") {
  CHECK_FALSE(holds(leaf("/a", Op::kIn, {string("1")}), "1"));
  CHECK_FALSE(holds(leaf("/a", Op::kIn, {number("1")}), R"("1")"));
}

TEST_CASE("in is exact on large integers") {
  const Predicate in = leaf("/a", Op::kIn, {number("9007199254740993"), number("18446744073709551617")});
  CHECK(holds(in, "9007199254740993"));
  CHECK(holds(in, "18446744073709551617.0"));
  CHECK_FALSE(holds(in, "9007199254740992"));
  CHECK_FALSE(holds(in, "18446744073709551616"));
}

TEST_CASE("not_in is the opposite of in") {
  const Predicate not_in = leaf("/a", Op::kNotIn, {number("1"), string("x")});
  CHECK_FALSE(holds(not_in, "1.0"));
  CHECK_FALSE(holds(not_in, R"("x")"));
  CHECK(holds(not_in, "2"));
  CHECK(holds(not_in, R"("y")"));
}

TEST_CASE("in an empty list there is nothing") {
  CHECK_FALSE(holds(leaf("/a", Op::kIn, std::vector<Literal>{}), "1"));
  CHECK(holds(leaf("/a", Op::kNotIn, std::vector<Literal>{}), "1"));
}

TEST_CASE("in_file finds strings decoded, and numbers by value") {
  const TemporaryFile file("alpha\r\nb\u00e9ta\r\n\r\n10.0\r\nlast");
  const Predicate in = leaf("/a", Op::kInFile, file.path());
  for (const char* value : {R"("alpha")", R"("b\u00e9ta")", R"("last")", "10", "1e1", R"("10.0")"}) {
    CHECK(holds(in, value));
  }
  for (const char* value : {R"("alpha\r")", R"("")", "11", R"("10")", "null", "[10]"})
    CHECK_FALSE(holds(in, value));
  CHECK(holds(leaf("/a", Op::kNotInFile, file.path()), R"("gamma")"));
  CHECK_FALSE(holds(leaf("/a", Op::kNotInFile, file.path()), R"("alpha")"));
}

TEST_CASE("a number against a file without numbers is another type") {
  const TemporaryFile words("alpha\n");
  const TemporaryFile numbers("1\n");
  CHECK(surprises_at(leaf("/a", Op::kInFile, words.path()), "1") == kOther);
  CHECK(surprises_at(leaf("/a", Op::kInFile, numbers.path()), "2") == kNone);
  CHECK(surprises_at(leaf("/a", Op::kInFile, words.path()), "true") == kOther);
}

TEST_CASE("contains looks in the decoded string, not in its escapes") {
  CHECK(holds(leaf("/a", Op::kContains, "ell"), R"("hello")"));
  CHECK_FALSE(holds(leaf("/a", Op::kContains, "elo"), R"("hello")"));
  CHECK_FALSE(holds(leaf("/a", Op::kContains, "nb"), R"("a\nb")"));
  CHECK(holds(leaf("/a", Op::kContains, "a\nb"), R"("xa\nb")"));
  CHECK(holds(leaf("/a", Op::kContains, "\U0001F600"), R"("x\ud83d\ude00y")"));
  CHECK(holds(leaf("/a", Op::kContains, ""), R"("")"));
  CHECK(holds(leaf("/a", Op::kContains, std::string(1, '\0')), R"("a\u0000b")"));
}

TEST_CASE("starts_with reads the decoded string") {
  CHECK(holds(leaf("/a", Op::kStartsWith, "he"), R"("hello")"));
  CHECK(holds(leaf("/a", Op::kStartsWith, "he"), R"("\u0068ello")"));
  CHECK_FALSE(holds(leaf("/a", Op::kStartsWith, "el"), R"("hello")"));
  CHECK_FALSE(holds(leaf("/a", Op::kStartsWith, "hello, world"), R"("hello")"));
  CHECK(holds(leaf("/a", Op::kStartsWith, ""), R"("")"));
}

TEST_CASE("matches finds a pattern anywhere, in the decoded string") {
  CHECK(holds(leaf("/a", Op::kMatches, "TODO|FIXME"), R"("// FIXME: later")"));
  CHECK_FALSE(holds(leaf("/a", Op::kMatches, "^FIXME"), R"("// FIXME: later")"));
  CHECK(holds(leaf("/a", Op::kMatches, "^a\\sb$"), R"("a\tb")"));
  CHECK(holds(leaf("/a", Op::kMatches, "^.$"), R"("\u00e9")"));
  CHECK(holds(leaf("/a", Op::kMatches, ""), R"("")"));
}

TEST_CASE("contains, starts_with and matches on another type are false, and counted") {
  for (const Op op : {Op::kContains, Op::kStartsWith, Op::kMatches}) {
    for (const char* value : {kNull, kTrue, kNumber, kObject, kArray}) {
      CHECK_FALSE(holds(leaf("/a", op, ""), value));
      CHECK(surprises_at(leaf("/a", op, ""), value) == kOther);
    }
  }
}

TEST_CASE("type names each type, and is not surprised by another") {
  const std::pair<const char*, std::vector<const char*>> kNamed[] = {
      {"null", {kNull}},     {"boolean", {kTrue, kFalse}}, {"number", {kNumber}}, {"integer", {kNumber}},
      {"string", {kString}}, {"array", {kArray}},          {"object", {kObject}}};
  for (const auto& [name, members] : kNamed) {
    const Predicate type = leaf("/a", Op::kType, name);
    for (const char* value : kEveryValue) {
      CAPTURE(describe(type));
      CAPTURE(value);
      CHECK(holds(type, value) == (std::find(members.begin(), members.end(), value) != members.end()));
      CHECK(surprises_at(type, value) == kNone);
    }
  }
}

TEST_CASE("an integer is a number without a fraction, however it is written") {
  const Predicate integer = leaf("/a", Op::kType, "integer");
  for (const char* value : {"1", "1.0", "1e2", "-0", "123456789012345678901234567890"})
    CHECK(holds(integer, value));
  for (const char* value : {"1.5", "1e-2", R"("1")"}) CHECK_FALSE(holds(integer, value));
}

TEST_CASE("min_length and max_length count the code points of a string") {
  for (const char* four :
       {R"("four")", R"("f\u006f\nr")", R"("\ud83d\ude00\ud83d\ude00\ud83d\ude00\ud83d\ude00")",
        "\"\U0001F600\u00e9\u00e9\u00e9\""}) {
    CAPTURE(four);
    CHECK(holds(length_leaf("/a", Op::kMinLength, 4), four));
    CHECK_FALSE(holds(length_leaf("/a", Op::kMinLength, 5), four));
    CHECK(holds(length_leaf("/a", Op::kMaxLength, 4), four));
    CHECK_FALSE(holds(length_leaf("/a", Op::kMaxLength, 3), four));
  }
  CHECK(holds(length_leaf("/a", Op::kMinLength, 0), R"("")"));
  CHECK(holds(length_leaf("/a", Op::kMaxLength, 0), R"("")"));
  CHECK_FALSE(holds(length_leaf("/a", Op::kMinLength, 1), R"("")"));
}

TEST_CASE("min_length and max_length count the members of an array or object, not those inside of them") {
  for (const char* three :
       {"[1,2,3]", R"([[1,2,3,4],{"x":[5,6]},7])", R"(["a,b","\",","]"])", "[ 1 , 2 , [ ] ]",
        R"({"a,":",","b":[1,2],"c\"":{}})", R"( {"a":1,"b\\":2,"c":"x\\"} )"}) {
    CAPTURE(three);
    CHECK(holds(length_leaf("/a", Op::kMinLength, 3), three));
    CHECK_FALSE(holds(length_leaf("/a", Op::kMinLength, 4), three));
    CHECK(holds(length_leaf("/a", Op::kMaxLength, 3), three));
    CHECK_FALSE(holds(length_leaf("/a", Op::kMaxLength, 2), three));
  }
  for (const char* none : {"[]", "[ ]", "{}", "{ \t}"}) {
    CHECK(holds(length_leaf("/a", Op::kMinLength, 0), none));
    CHECK_FALSE(holds(length_leaf("/a", Op::kMinLength, 1), none));
    CHECK(holds(length_leaf("/a", Op::kMaxLength, 0), none));
  }
  CHECK(holds(length_leaf("/a", Op::kMinLength, 1), "[[]]"));
}

TEST_CASE("the largest max_length holds for all, the largest min_length for none") {
  CHECK(holds(length_leaf("/a", Op::kMaxLength, UINT64_MAX), "[1]"));
  CHECK_FALSE(holds(length_leaf("/a", Op::kMinLength, UINT64_MAX), "[1]"));
}

TEST_CASE("numbers, booleans and null have no length") {
  for (const char* value : {kNull, kTrue, kNumber}) {
    CHECK_FALSE(holds(length_leaf("/a", Op::kMinLength, 0), value));
    CHECK_FALSE(holds(length_leaf("/a", Op::kMaxLength, 9), value));
    CHECK(surprises_at(length_leaf("/a", Op::kMinLength, 0), value) == kOther);
  }
}

TEST_CASE("a field is found under a key with escapes, and by way of arrays") {
  CHECK(Asked({leaf("/k\u00e9y/1/x", Op::kEq, {number("1")})}).keep(R"({"k\u00e9y":[0,{"x":1}]})"));
  CHECK(Asked({leaf("/a~1b~0c", Op::kEq, {number("1")})}).keep(R"({"a\/b~c":1})"));
}

TEST_CASE("the empty pointer is the whole record, which need not be an object") {
  CHECK(Asked({leaf("", Op::kType, "array")}).keep("[1]"));
  CHECK(Asked({leaf("", Op::kEq, {number("1")})}).keep(" 1.0"));
  CHECK_FALSE(Asked({leaf("", Op::kType, "object")}).keep("[1]"));
}

}  // namespace
}  // namespace leat::filter
