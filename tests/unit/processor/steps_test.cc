// drop, keep, rename, copy, set, default; and what they leave alone.
#include <doctest/doctest.h>

#include "tests/unit/processor/steps_fixture.h"

using namespace leat;
using namespace leat::processor;
using namespace leat::processor::test;
using Counts = std::vector<std::uint64_t>;

TEST_CASE("a record that no step finds anything in leaves as it came") {
  std::string record =
      " {\t\"b\" : 1.0e5 ,\"\\u0061\":\"\\u0041\\/\", \"c\":[ 1 , {} , [ ] ],\"d\":-0.0}\t\r";
  CHECK(after({drop({"/x", "/c/9", "/b/1"}), keep({""}), rename({{"/x", "/y"}})}, record) == record);
  CHECK(after({}, record) == record);
  CHECK(after({}, "17") == "17");
}

TEST_CASE("what stands beside a touched field keeps numbers, escapes, order and blanks") {
  CHECK(after({drop({"/x"})}, R"({"n": 1.0e5, "x": 1, "big": 12345678901234567890.10, "s": "\u0041\/é"})") ==
        R"({"n": 1.0e5, "big": 12345678901234567890.10, "s": "\u0041\/é"})");
  CHECK(after({drop({"/x"})}, "{ \"z\" :  1 , \"x\" : 2 , \"a\" : [ 1, 2 ] }") ==
        "{ \"z\" :  1 , \"a\" : [ 1, 2 ] }");
}

TEST_CASE("drop takes the first, a middle and the last member with their commas") {
  CHECK(after({drop({"/a"})}, R"({"a":1,"b":2,"c":3})") == R"({"b":2,"c":3})");
  CHECK(after({drop({"/b"})}, R"({"a":1,"b":2,"c":3})") == R"({"a":1,"c":3})");
  CHECK(after({drop({"/c"})}, R"({"a":1,"b":2,"c":3})") == R"({"a":1,"b":2})");
  CHECK(after({drop({"/a"})}, R"({"a": 1, "b": 2})") == R"({"b": 2})");
}

TEST_CASE("drop of all members leaves an empty object") {
  CHECK(after({drop({"/a", "/b"})}, R"({"a":1,"b":{"c":[]}})") == "{}");
  CHECK(after({drop({"/a/b"})}, R"({"a":{"b":1}})") == R"({"a":{}})");
  CHECK(after({drop({"/a/0"})}, R"({"a":[ 1 ]})") == R"({"a":[]})");
}

TEST_CASE("drop reaches any depth, through objects and arrays") {
  CHECK(after({drop({"/a/1/b/c"})}, R"({"a":[{"b":0},{"b":{"c":[1,2],"d":4}},5]})") ==
        R"({"a":[{"b":0},{"b":{"d":4}},5]})");
}

TEST_CASE("drop removes all duplicates of a key, and those under duplicates of its parent") {
  CHECK(after({drop({"/a"})}, R"({"a":1,"b":2,"\u0061":3,"a":4})") == R"({"b":2})");
  CHECK(after({drop({"/m/x"})}, R"({"m":{"x":1,"y":2},"m":{"x":3}})") == R"({"m":{"y":2},"m":{}})");
}

TEST_CASE("drop counts elements as they were before the step") {
  CHECK(after({drop({"/a/0", "/a/1"})}, R"({"a":["x","y","z"]})") == R"({"a":["z"]})");
  CHECK(after({drop({"/a/0"}), drop({"/a/1"})}, R"({"a":["x","y","z"]})") == R"({"a":["y"]})");
}

TEST_CASE("keys compare decoded") {
  CHECK(after({drop({"/a"})}, R"({"\u0061":1,"b":2})") == R"({"b":2})");
  CHECK(after({drop({"/\xF0\x9F\x98\x80"})}, R"({"\ud83d\ude00":1,"b":2})") == R"({"b":2})");
  CHECK(after({drop({"/a~1b"}), drop({"/"})}, R"({"a\/b":1,"":2,"c":3})") == R"({"c":3})");
}

TEST_CASE("keys of one length and first letter, and long ones, are told apart") {
  CHECK(after({drop({"/abc"})}, R"({"abd":1,"abc":2,"ab":3})") == R"({"abd":1,"ab":3})");
  std::string one(300, 'k');
  std::string other = one.substr(0, 299) + "l";
  CHECK(after({drop({"/" + other})}, "{\"" + one + "\":1,\"" + other + "\":2}") == "{\"" + one + "\":1}");
}

TEST_CASE("keep leaves the named fields and what they are in") {
  CHECK(after({keep({"/a", "/m/host"})}, R"({"z":0, "m":{"user":1, "host":"h", "x":2}, "a":1.50})") ==
        R"({"m":{"host":"h"}, "a":1.50})");
  CHECK(after({keep({"/a/1"})}, R"({"a":[1,[2],3],"b":0})") == R"({"a":[[2]]})");
  CHECK(after({keep({"/m", "/m/x"})}, R"({"m":{"x":1,"y":2},"n":3})") == R"({"m":{"x":1,"y":2}})");
}

TEST_CASE("keep of fields that do not exist leaves nothing, and no empty parents") {
  CHECK(after({keep({"/x", "/m/x"})}, R"({"m":{"y":2},"n":3})") == "{}");
}

TEST_CASE("keep takes the first of duplicate keys") {
  CHECK(after({keep({"/a"})}, R"({"a":1,"b":2,"a":3})") == R"({"a":1})");
}

TEST_CASE("a second keep knows nothing of the first") {
  CHECK(after({keep({"/m", "/m/x"}), keep({"/m/y"})}, R"({"m":{"x":1,"y":2},"n":3})") == R"({"m":{"y":2}})");
}

TEST_CASE("rename keeps position, value and blanks") {
  CHECK(after({rename({{"/b", "/new"}})}, R"({"a": 1, "b" : [ 1.0 ] , "c": 3})") ==
        R"({"a": 1, "new" : [ 1.0 ] , "c": 3})");
  CHECK(after({rename({{"/m/a", "/m/b"}})}, R"({"m":{"a":1,"z":2}})") == R"({"m":{"b":1,"z":2}})");
}

TEST_CASE("rename quotes the new key as JSON wants it") {
  CHECK(after({rename({{"/a", "/x\"y\\z"}})}, R"({"a":1})") == R"({"x\"y\\z":1})");
}

TEST_CASE("rename replaces its target, with all its duplicates, and takes its own shadows along") {
  CHECK(after({rename({{"/a", "/b"}})}, R"({"b":0,"a":1,"c":2,"b":3,"a":4})") == R"({"b":1,"c":2})");
}

TEST_CASE("rename to another parent moves the value to the end there, or into its target") {
  CHECK(after({rename({{"/a", "/m/a"}})}, R"({"a":1.0,"m":{"x":2}})") == R"({"m":{"x":2,"a":1.0}})");
  CHECK(after({rename({{"/m/x", "/y"}})}, R"({"m":{"x":{"k":[1]}},"y":0,"z":1})") ==
        R"({"m":{},"y":{"k":[1]},"z":1})");
  CHECK(after({rename({{"/m/x", "/m"}})}, R"({"m":{"x":{"k":[1]}},"z":1})") == R"({"m":{"k":[1]},"z":1})");
}

TEST_CASE("a renamed or moved field is found under its new name only") {
  CHECK(after({rename({{"/a", "/b"}}), drop({"/a"}), rename({{"/b", "/c"}})}, R"({"a":1,"x":0})") ==
        R"({"c":1,"x":0})");
  CHECK(after({drop({"/m/k"}), rename({{"/m", "/n/o"}}), drop({"/n/o/l"})}, R"({"m":{"k":1,"l":2,"q":3}})") ==
        R"({"n":{"o":{"q":3}}})");
}

TEST_CASE("rename moves elements of arrays") {
  CHECK(after({rename({{"/a/1", "/x"}})}, R"({"a":[1,2,3]})") == R"({"a":[1,3],"x":2})");
  CHECK(after({rename({{"/a/0", "/a/2"}})}, R"({"a":[1,2,3]})") == R"({"a":[2,1]})");
  CHECK(after({rename({{"/a/0", "/a/-"}})}, R"({"a":[1,2,3]})") == R"({"a":[2,3,1]})");
}

TEST_CASE("rename into the field itself is a miss, to the same name nothing") {
  std::string record = R"({"a":{"b":1},"a":2})";
  Outcome outcome = run({rename({{"/a", "/a/c"}}), rename({{"/a", "/a"}})}, record);
  CHECK(outcome.record == record);
  CHECK(outcome.misses == Counts{1, 0});
}

TEST_CASE("copy takes the bytes of the value as it is by then") {
  CHECK(after({copy({{"/a", "/b"}})}, R"({"a": [ 1.0, "\u0041" ] })") ==
        R"({"a": [ 1.0, "\u0041" ] ,"b":[ 1.0, "\u0041" ]})");
  CHECK(after({drop({"/m/x"}), copy({{"/m", "/n"}}), drop({"/m/y"})}, R"({"m":{"x":1,"y":2,"z":3}})") ==
        R"({"m":{"z":3},"n":{"y":2,"z":3}})");
}

TEST_CASE("a copy and its original are changed apart") {
  CHECK(after({copy({{"/m", "/n"}}), drop({"/m/x", "/n/y"})}, R"({"m":{"x":1,"y":2}})") ==
        R"({"m":{"y":2},"n":{"x":1}})");
}

TEST_CASE("copy works into itself and of the whole record") {
  CHECK(after({copy({{"/a", "/a/b"}})}, R"({"a":{"x":1}})") == R"({"a":{"x":1,"b":{"x":1}}})");
  CHECK(after({copy({{"", "/orig"}})}, R"( {"a":1} )") == R"( {"a":1,"orig":{"a":1}} )");
}

TEST_CASE("set replaces in place or appends") {
  CHECK(after({set({{"/a", "\"new\""}, {"/c", "{}"}})}, R"({"a" : 1 , "b":2})") ==
        R"({"a" : "new" , "b":2,"c":{}})");
  CHECK(after({set({{"/a", "1"}})}, "{}") == R"({"a":1})");
  CHECK(after({set({{"/a", "1"}})}, R"({"a":5,"b":6,"a":7})") == R"({"a":1,"b":6})");
}

TEST_CASE("set makes the parents that are missing") {
  CHECK(after({set({{"/a/b/c", "1"}, {"/a/b/d", "2"}})}, R"({"x":0})") ==
        R"({"x":0,"a":{"b":{"c":1,"d":2}}})");
  CHECK(after({set({{"/tags/-", "1"}, {"/tags/-", "2"}})}, "{}") == R"({"tags":[1,2]})");
  CHECK(after({set({{"/l/-/n", "1"}})}, R"({"l":[0]})") == R"({"l":[0,{"n":1}]})");
}

TEST_CASE("set takes elements of arrays by index, behind the last one, and by -") {
  CHECK(after({set({{"/a/1", "9"}})}, R"({"a":[ 1 , 2 , 3 ]})") == R"({"a":[ 1 , 9 , 3 ]})");
  CHECK(after({set({{"/a/3", "9"}, {"/a/-", "10"}})}, R"({"a":[1,2,3]})") == R"({"a":[1,2,3,9,10]})");
  CHECK(after({set({{"/a/0", "9"}})}, R"({"a":[ ]})") == R"({"a":[9]})");
  CHECK(after({set({{"/-", "9"}})}, R"({"a":[ ]})") == R"({"a":[ ],"-":9})");
}

TEST_CASE("set below a scalar, at no index and far behind the end is a miss and makes nothing") {
  std::string record = R"({"a":[1],"s":"x"})";
  Outcome outcome =
      run({set({{"/a/5", "9"}, {"/a/x", "9"}, {"/s/y/z", "9"}, {"/a/01", "9"}, {"/a/0/b", "1"}})}, record);
  CHECK(outcome.record == record);
  CHECK(outcome.misses == Counts{5});
}

TEST_CASE("a later step works inside of a value that a step made") {
  CHECK(after({set({{"/a", R"({"x":[1,2],"y":3})"}}), drop({"/a/x/0"}), set({{"/a/z", "4"}})},
              R"({"q":0})") == R"({"q":0,"a":{"x":[2],"y":3,"z":4}})");
  CHECK(after({set({{"/a", R"({"x":[1,2],"y":3})"}}), rename({{"/a/x", "/x"}}), drop({"/x/1"})},
              R"({"q":0})") == R"({"q":0,"a":{"y":3},"x":[1]})");
}

TEST_CASE("default sets only what is missing, and null is not") {
  Outcome outcome = run({set_default({{"/a", "1"}, {"/b", "2"}, {"/m/c", "3"}})}, R"({"a":null,"m":{}})");
  CHECK(outcome.record == R"({"a":null,"m":{"c":3},"b":2})");
  CHECK(outcome.misses == Counts{0});
}

TEST_CASE("steps apply in order, each on the result of the one before") {
  CHECK(after({set({{"/a", "1"}}), rename({{"/a", "/b"}}), copy({{"/b", "/c"}}), drop({"/b"}),
               set({{"/a", "2"}})},
              "{}") == R"({"c":1,"a":2})");
  CHECK(after({rename({{"/a", "/t"}, {"/b", "/a"}, {"/t", "/b"}})}, R"({"a":1,"b":2})") ==
        R"({"b":1,"a":2})");
}

TEST_CASE("one object of steps serves record after record") {
  std::vector<config::Step> list = {drop({"/a"}), set({{"/m/n", "[1]"}}), shorten("/m/n", 0),
                                    copy({{"/m", "/k"}})};
  Steps steps = Steps::compile(list).value();
  std::string big = R"({"t":")" + std::string(200'000, 'x') + R"(","a":0})";
  for (int i = 0; i < 3; ++i) {
    CHECK(run(steps, R"({"a":1,"b":2})").record == R"({"b":2,"m":{"n":[]},"k":{"n":[]}})");
    CHECK(run(steps, big).record.size() == big.size() - 6 + 26);
  }
}
