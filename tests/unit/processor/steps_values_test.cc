// length, truncate, replace, hash; misses and dead letters.
#include <doctest/doctest.h>

#include "tests/unit/processor/steps_fixture.h"

using namespace leat;
using namespace leat::processor;
using namespace leat::processor::test;
using Counts = std::vector<std::uint64_t>;

TEST_CASE("length counts code points of strings, members of objects and elements of arrays") {
  CHECK(after({length("/t", "/n")}, R"({"t":"aé\ud83d\ude00\n€"})") == R"({"t":"aé\ud83d\ude00\n€","n":5})");
  CHECK(after({length("/t", "/n")}, R"({"t":{"a":[1,2],"b":{}}})") == R"({"t":{"a":[1,2],"b":{}},"n":2})");
  CHECK(after({length("/t", "/n")}, R"({"t":[1,[2,3],{"x":4}]})") == R"({"t":[1,[2,3],{"x":4}],"n":3})");
  CHECK(after({length("/t", "/t")}, R"({"t":[ ]})") == R"({"t":0})");
}

TEST_CASE("length sees what the steps before did") {
  CHECK(after({drop({"/t/1", "/t/3"}), length("/t", "/n")}, R"({"t":[1,2,3,4,5]})") ==
        R"({"t":[1,3,5],"n":3})");
  CHECK(after({set({{"/m/k", "1"}}), drop({"/m/a"}), length("/m", "/n"), length("", "/all")},
              R"({"m":{"a":1,"b":2}})") == R"({"m":{"b":2,"k":1},"n":2,"all":2})");
}

TEST_CASE("length of a number, a boolean or null is a miss") {
  std::string record = R"({"a":12,"b":true,"c":null})";
  Outcome outcome = run({length("/a", "/n"), length("/b", "/n"), length("/c", "/n")}, record);
  CHECK(outcome.record == record);
  CHECK(outcome.misses == Counts{1, 1, 1});
}

TEST_CASE("truncate cuts strings between code points and leaves the bytes before as they stand") {
  CHECK(after({shorten("/t", 3)}, R"({"t": "a\u0041\/bc" , "x":1})") == R"({"t": "a\u0041\/" , "x":1})");
  CHECK(after({shorten("/t", 2)}, R"({"t":"é€x"})") == R"({"t":"é€"})");
  CHECK(after({shorten("/t", 0)}, R"({"t":"abc"})") == R"({"t":""})");
  CHECK(after({shorten("/t", 9)}, R"({"t":"12345678\n9"})") == R"({"t":"12345678\n"})");
}

TEST_CASE("truncate never parts a pair of surrogates") {
  CHECK(after({shorten("/t", 1)}, R"({"t":"\ud83d\ude00\uD83D\uDE00"})") == R"({"t":"\ud83d\ude00"})");
  CHECK(after({shorten("/t", 2)}, R"({"t":"\ud7ff\ue000x"})") == R"({"t":"\ud7ff\ue000"})");
}

TEST_CASE("truncate at any length counts as length does") {
  std::string text =
      R"(plain ascii text, é and € and 😀, \n \u00e9 \ud83d\ude00 \\ \" and more of the plain text)";
  std::string record = "{\"t\":\"" + text + "\"}";
  std::string whole = after({length("/t", "/t")}, record);
  std::uint64_t points = std::stoull(whole.substr(5));
  CHECK(after({shorten("/t", points)}, record) == record);
  for (std::uint64_t n = 0; n < points; ++n) {
    CHECK(after({shorten("/t", n), length("/t", "/t")}, record) == "{\"t\":" + std::to_string(n) + "}");
  }
}

TEST_CASE("a string that is short enough stays as it is") {
  std::string record = R"({"t":"\u0041\u0042"})";
  CHECK(after({shorten("/t", 2)}, record) == record);
}

TEST_CASE("truncate cuts arrays, and misses on anything else") {
  CHECK(after({shorten("/a", 2)}, R"({"a":[1, [2,3] ,4,5]})") == R"({"a":[1, [2,3] ]})");
  CHECK(after({shorten("/a", 0)}, R"({"a":[1,2]})") == R"({"a":[]})");
  CHECK(after({drop({"/a/0"}), shorten("/a", 2), set({{"/a/-", "9"}})}, R"({"a":[1,2,3,4,5]})") ==
        R"({"a":[2,3,9]})");
  CHECK(misses({shorten("/a", 2), shorten("/b", 2), shorten("/c", 2)}, R"({"a":{"x":1},"b":123})") ==
        Counts{1, 1, 1});
}

TEST_CASE("replace works on the decoded string and quotes only what it changed") {
  CHECK(after({replace("/t", "b+", "<\\0>")}, R"({"t":"a\u0062bc\n","x":"\u0062"})") ==
        R"({"t":"a<bb>c\n","x":"\u0062"})");
  CHECK(after({replace("/t", "(\\w+)@(\\w+)", "\\2 at \"\\1\"")}, R"({"t":"me@home, you@work"})") ==
        R"({"t":"home at \"me\", work at \"you\""})");
}

TEST_CASE("replace without a match leaves the string as it came") {
  std::string record = R"({"t":"\u0061\/"})";
  CHECK(after({replace("/t", "zzz", "y")}, record) == record);
  CHECK(after({replace("/t", "a", "a")}, record) == record);
}

TEST_CASE("replace that would part a code point is a miss") {
  std::string record = R"({"t":"é"})";
  Outcome outcome = run({replace("/t", "^\\C", "x")}, record);
  CHECK(outcome.record == record);
  CHECK(outcome.misses == Counts{1});
}

TEST_CASE("replace wants a string") {
  CHECK(misses({replace("/t", "1", "2")}, R"({"t":1})") == Counts{1});
}

TEST_CASE("hash takes the decoded bytes of a string") {
  std::string abc = "44bc2cf5ad770999";  // XXH64 of "abc", seed 0, of the xxHash specification's sample code
  CHECK(after({hash("/t", "/h")}, R"({"t":"abc"})") == R"({"t":"abc","h":")" + abc + "\"}");
  CHECK(after({hash("/t", "/t")}, R"({"t":"a\u0062c"})") == R"({"t":")" + abc + "\"}");
  CHECK(after({hash("/t", "/t")}, R"({"t":""})") == R"({"t":"ef46db3751d8e999"})");
}

TEST_CASE("hash with sha256 gives the digest of FIPS 180-2") {
  CHECK(after({hash("/t", "/t", config::HashAlgorithm::kSha256)}, R"({"t":"abc"})") ==
        R"({"t":"ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"})");
}

TEST_CASE("hash of another value takes its bytes as the steps before left them") {
  std::string same = after({hash("/t", "/t")}, R"({"t":"[1.0,2]"})");
  CHECK(after({hash("/t", "/t")}, R"({"t":[1.0,2]})") == same);
  CHECK(after({drop({"/t/1"}), hash("/t", "/t")}, R"({"t":[1.0,"x",2]})") == same);
}

TEST_CASE("length and hash make the parents of their target") {
  CHECK(after({length("/t", "/stats/n"), hash("/t", "/stats/h")}, R"({"t":"abc"})") ==
        R"({"t":"abc","stats":{"n":3,"h":"44bc2cf5ad770999"}})");
}

TEST_CASE("misses are counted for each step and field, over all records") {
  std::vector<config::Step> list = {drop({"/a", "/b"}), rename({{"/c", "/d"}}), length("/e", "/n"),
                                    keep({"/a/x", "/f"}), copy({{"/q", "/r"}})};
  Steps steps = Steps::compile(list).value();
  CHECK(run(steps, R"({"a":1})").misses == Counts{1, 1, 1, 2, 1});
  CHECK(run(steps, R"({"a":1,"b":2,"c":3,"e":[],"f":0})").misses == Counts{1, 1, 1, 3, 2});
}

TEST_CASE("a record that is no object is a dead letter that says what it is") {
  auto reason = [](std::string_view record) { return run({drop({"/a"})}, record).reason; };
  CHECK(reason("17") == "steps want an object, got a number");
  CHECK(reason(" \"x\"") == "steps want an object, got a string");
  CHECK(reason("[{}]") == "steps want an object, got an array");
  CHECK(reason("true") == "steps want an object, got a boolean");
  CHECK(reason("null") == "steps want an object, got null");
  CHECK(reason("  ") == "steps want an object, got nothing");
}

TEST_CASE("broken JSON that a step runs into is a dead letter, never a crash") {
  for (std::string_view record :
       {"{", "{\"a\"", "{\"a\":", "{\"a\":1,}", "{\"a\" 1}", "{1:2}", "{\"a\":[}", "{\"a\":{]}", "{\"a\":1}}",
        "{\"a\":[1 2]}", "{,}", "{]", "{\"a\":{\"b\"}}", "{\"a\":1 2}"}) {
    CAPTURE(record);
    CHECK(run({drop({"/a/0/b", "/a/1"}), length("/a", "/n"), set({{"/a/b/c", "1"}})}, record).reason ==
          "steps want valid JSON, got a broken object or array");
  }
}

TEST_CASE("a pattern that RE2 does not take is refused when the steps are compiled") {
  std::vector<config::Step> list = {replace("/a", "(", "")};
  auto compiled = Steps::compile(list);
  REQUIRE(!compiled);
  CHECK(compiled.error().exit_code == kExitConfig);
  list = {replace("/a", "a", "\\1")};
  CHECK(!Steps::compile(list));
}
