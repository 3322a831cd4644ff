// Trees of predicates: all, any, not; counting, ordering, and that the order changes nothing.
#include "workers/filter/predicates.h"

#include <algorithm>
#include <random>

#include "tests/unit/filter/support.h"
#include "workers/filter/describe.h"

namespace leat::filter {
namespace {

Predicate has_a() {
  return leaf("/a", Op::kExists);
}
Predicate has_b() {
  return leaf("/b", Op::kExists);
}

TEST_CASE("a filter without predicates keeps everything") {
  CHECK(Asked({}).keep("[]"));
}

TEST_CASE("all entries of keep must hold") {
  Asked asked({has_a(), has_b()});
  CHECK(asked.keep(R"({"a":1,"b":1})"));
  CHECK_FALSE(asked.keep(R"({"a":1})"));
  CHECK_FALSE(asked.keep(R"({"b":1})"));
}

TEST_CASE("any holds when one child holds, all when every child does, not when its child does not") {
  CHECK(Asked({node(Op::kAny, {has_a(), has_b()})}).keep(R"({"b":1})"));
  CHECK_FALSE(Asked({node(Op::kAny, {has_a(), has_b()})}).keep("{}"));
  CHECK(Asked({node(Op::kAll, {has_a(), has_b()})}).keep(R"({"a":1,"b":1})"));
  CHECK_FALSE(Asked({node(Op::kAll, {has_a(), has_b()})}).keep(R"({"a":1})"));
  CHECK(Asked({node(Op::kNot, {has_a()})}).keep("{}"));
  CHECK_FALSE(Asked({node(Op::kNot, {has_a()})}).keep(R"({"a":1})"));
}

TEST_CASE("all of nothing holds, any of nothing does not") {
  CHECK(Asked({node(Op::kAll, {})}).keep("{}"));
  CHECK_FALSE(Asked({node(Op::kAny, {})}).keep("{}"));
}

TEST_CASE("not of a predicate on a missing field is true, unlike the opposite operator") {
  CHECK(Asked({node(Op::kNot, {leaf("/a", Op::kLt, {number("1")})})}).keep("{}"));
  CHECK_FALSE(Asked({leaf("/a", Op::kGe, {number("1")})}).keep("{}"));
}

TEST_CASE("trees nest") {
  const Predicate only_a = node(Op::kAll, {has_a(), node(Op::kNot, {has_b()})});
  Asked asked({node(Op::kAny, {only_a, leaf("/c", Op::kEq, {null()})})});
  CHECK(asked.keep(R"({"a":1})"));
  CHECK(asked.keep(R"({"a":1,"b":1,"c":null})"));
  CHECK_FALSE(asked.keep(R"({"a":1,"b":1})"));
}

TEST_CASE("two predicates on one string with escapes both see it decoded, record after record") {
  Asked asked({leaf("/a", Op::kContains, "x\ty"), leaf("/a", Op::kStartsWith, "\n")});
  for (int round = 0; round < 200; ++round) {
    CHECK(asked.keep(R"({"a":"\n x\ty"})"));
    CHECK_FALSE(asked.keep(R"({"a":"\r x\ty"})"));
    CHECK_FALSE(asked.keep(R"({"a":"\n x y"})"));
  }
}

TEST_CASE("tallies count what was evaluated, passed, missing and of another type") {
  Asked asked({leaf("/a", Op::kEq, {number("1")})});
  for (const char* record : {R"({"a":1})", R"({"a":2})", "{}", R"({"a":"1"})", R"({"a":null})"}) {
    static_cast<void>(asked.keep(record));
  }
  const auto tally = asked.predicates().tallies().at(0);
  CHECK(tally.evaluated == 5);
  CHECK(tally.passed == 1);
  CHECK(tally.missing == 1);
  CHECK(tally.other_type == 2);
}

TEST_CASE("tallies come as the config was written, with their depth and place") {
  Predicate second = node(Op::kAny, {has_b(), node(Op::kNot, {has_a()})});
  second.where = {12, 5};
  const Asked asked({has_a(), second});
  const auto tallies = asked.predicates().tallies();
  REQUIRE(tallies.size() == 5);
  CHECK(tallies[0].text == "/a exists");
  CHECK(tallies[1].text == "(/b exists or not (/a exists))");
  CHECK(tallies[1].where.line == 12);
  CHECK(tallies[2].text == "/b exists");
  CHECK(tallies[4].text == "/a exists");
  CHECK(tallies[0].depth == 0);
  CHECK(tallies[1].depth == 0);
  CHECK(tallies[2].depth == 1);
  CHECK(tallies[3].depth == 1);
  CHECK(tallies[4].depth == 2);
}

TEST_CASE("one file that two predicates name is loaded once") {
  const TemporaryFile file("one\ntwo\n");
  const Asked once({leaf("/a", Op::kInFile, file.path())});
  const Asked twice({leaf("/a", Op::kInFile, file.path()), leaf("/b", Op::kNotInFile, file.path())});
  CHECK(once.predicates().memory_bytes() > 0);
  CHECK(twice.predicates().memory_bytes() == once.predicates().memory_bytes());
}

TEST_CASE("a file that is not there fails to compile, also inside of a tree") {
  json::Paths paths;
  const std::vector<Predicate> keep{node(Op::kNot, {leaf("/a", Op::kInFile, "/nonexistent/leat")})};
  const auto predicates = Predicates::compile(keep, paths);
  REQUIRE_FALSE(predicates);
  CHECK(predicates.error().fault == Fault::kFatal);
  CHECK(predicates.error().exit_code == kExitConfig);
  CHECK(predicates.error().text.find("/nonexistent/leat") != std::string::npos);
}

TEST_CASE("what the config should have refused fails to compile") {
  for (const Predicate& bad : {leaf("/a", Op::kLt, {null()}), leaf("/a", Op::kEq, std::vector<Literal>{}),
                               leaf("/a", Op::kType, "float"), leaf("/a", Op::kMatches, "("),
                               leaf("/a", Op::kEq, {number("0x1")}), node(Op::kNot, {})}) {
    json::Paths paths;
    const auto predicates = Predicates::compile(std::vector<Predicate>{bad}, paths);
    CAPTURE(describe(bad));
    REQUIRE_FALSE(predicates);
    CHECK(predicates.error().exit_code == kExitConfig);
  }
}

TEST_CASE("predicates describe themselves") {
  CHECK(describe(leaf("/score", Op::kLt, {number("0.5")})) == "/score < 0.5");
  CHECK(describe(leaf("/lang", Op::kIn, {string("py"), null(), boolean(true)})) ==
        R"(/lang in ["py", null, true])");
  CHECK(describe(leaf("/host", Op::kNotInFile, "/etc/b.txt")) == "/host not in file /etc/b.txt");
  CHECK(describe(length_leaf("", Op::kMinLength, 3)) == "record has length >= 3");
  CHECK(describe(node(Op::kNot, {leaf("/t", Op::kMatches, "a\"b")})) == R"(not (/t matches "a\"b"))");
}

TEST_CASE("a long list of members is cut") {
  const std::string text = describe(leaf("/a", Op::kIn, std::vector<Literal>(25, number("1"))));
  CHECK(text.ends_with(", ... 17 more]"));
}

// A record on which a search through its text is dear, and a look at its number is not.
std::string dear_record(int number) {
  std::string text;
  for (int i = 0; i < 500; ++i) text += "some \\n text ";
  return R"({"n":)" + std::to_string(number) + R"(,"text":")" + text + R"("})";
}

TEST_CASE("a cheap predicate that drops much comes to stand before a dear one that drops nothing") {
  Asked asked({leaf("/text", Op::kMatches, "absent|text $"), leaf("/n", Op::kLt, {number("5")})});
  CHECK(asked.predicates().order() == std::vector<std::size_t>{0, 1});
  for (int i = 0; i < 5000; ++i) REQUIRE(asked.keep(dear_record(i % 100)) == (i % 100 < 5));
  CHECK(asked.predicates().order() == std::vector<std::size_t>{1, 0});
  const auto tallies = asked.predicates().tallies();
  CHECK(tallies[0].evaluated < 3000);
  CHECK(tallies[1].evaluated == 5000);
  CHECK(tallies[0].cost_ns > tallies[1].cost_ns);
  CHECK(tallies[1].pass_rate < 0.3);
}

TEST_CASE("in any, a cheap predicate that nearly always holds comes to stand first") {
  Asked asked({node(Op::kAny, {leaf("/text", Op::kMatches, "absent"), leaf("/n", Op::kLt, {number("95")})})});
  for (int i = 0; i < 5000; ++i) REQUIRE(asked.keep(dear_record(i % 100)) == (i % 100 < 95));
  const auto tallies = asked.predicates().tallies();
  CHECK(tallies[1].evaluated < 3500);
  CHECK(tallies[2].evaluated == 5000);
}

// The meaning of some operators once more, in the plainest way: no order, no cache, no early end.
// a: the number in /a, or -1 for none; b: the string in /b.
bool naive(const Predicate& predicate, int a, const std::string& b) {
  const auto child_holds = [&](const Predicate& child) { return naive(child, a, b); };
  const bool on_a = predicate.field.text() == "/a";
  const auto wanted = [&](const Literal& value) { return (on_a ? std::to_string(a) : b) == value.text; };
  switch (predicate.op) {
    case Op::kAll:
      return std::all_of(predicate.children.begin(), predicate.children.end(), child_holds);
    case Op::kAny:
      return std::any_of(predicate.children.begin(), predicate.children.end(), child_holds);
    case Op::kNot:
      return !child_holds(predicate.children[0]);
    case Op::kExists:
      return a >= 0;
    case Op::kMissing:
      return a < 0;
    case Op::kLt:
      return a >= 0 && a < std::stoi(predicate.values[0].text);
    case Op::kGe:
      return a >= 0 && a >= std::stoi(predicate.values[0].text);
    case Op::kContains:
      return b.find(predicate.text) != b.npos;
    case Op::kNotIn:
      return std::none_of(predicate.values.begin(), predicate.values.end(), wanted);
    default:
      return wanted(predicate.values[0]);
  }
}

Predicate random_predicate(std::mt19937& random, int depth) {
  const auto digit = [&] { return std::to_string(random() % 10); };
  const auto letter = [&] { return std::string(1, static_cast<char>('a' + random() % 4)); };
  if (depth > 0 && random() % 3 != 0) {
    const Op op = random() % 5 == 0 ? Op::kNot : random() % 2 == 0 ? Op::kAll : Op::kAny;
    std::vector<Predicate> children;
    for (std::size_t count = op == Op::kNot ? 1 : 1 + random() % 4; count > 0; --count) {
      children.push_back(random_predicate(random, depth - 1));
    }
    return node(op, std::move(children));
  }
  switch (random() % 8) {
    case 0:
      return leaf("/a", Op::kLt, {number(digit())});
    case 1:
      return leaf("/a", Op::kGe, {number(digit())});
    case 2:
      return leaf("/a", Op::kEq, {number(digit())});
    case 3:
      return leaf("/a", Op::kNotIn, {number(digit()), number(digit())});
    case 4:
      return leaf("/a", random() % 2 == 0 ? Op::kExists : Op::kMissing);
    case 5:
      return leaf("/b", Op::kContains, letter());
    case 6:
      return leaf("/b", Op::kContains, letter() + "\n" + letter());
    default:
      return leaf("/b", Op::kNotIn, {string(letter() + letter()), string(letter())});
  }
}

TEST_CASE("random trees on random records say what a naive evaluator says, in whatever order they run") {
  std::mt19937 random(11);
  std::size_t reordered = 0;
  for (int tree = 0; tree < 40; ++tree) {
    std::vector<Predicate> keep;
    for (std::size_t count = 2 + random() % 4; count > 0; --count)
      keep.push_back(random_predicate(random, 3));
    const Predicate whole = node(Op::kAll, keep);
    Asked asked(keep);
    for (int round = 0; round < 6000; ++round) {
      const int a = static_cast<int>(random() % 11) - 1;
      std::string b;
      for (std::size_t count = random() % 6; count > 0; --count) b += "abcd\n"[random() % 5];
      std::string escaped;
      for (const char byte : b) escaped += byte == '\n' ? "\\n" : std::string(1, byte);
      const std::string field = a < 0 ? "" : "\"a\":" + std::to_string(a) + ",";
      REQUIRE(asked.keep("{" + field + "\"b\":\"" + escaped + "\"}") == naive(whole, a, b));
    }
    const auto order = asked.predicates().order();
    reordered += !std::is_sorted(order.begin(), order.end());
  }
  CHECK(reordered > 0);
}

}  // namespace
}  // namespace leat::filter
