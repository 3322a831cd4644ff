#include "workers/stage/json/scan.h"

#include <doctest/doctest.h>

#include <array>
#include <string>
#include <vector>

#include "proto/base/text.h"
#include "workers/stage/json/text.h"

using leat::append_quoted;
using leat::config::Pointer;
using namespace leat::json;

namespace {

std::string padded(std::string text) {
  text.reserve(text.size() + 64);
  return text;
}

struct Scanned {
  bool good;
  ScanError error;
  std::vector<Type> types;
  std::vector<std::string> raws;
};

// Scans each line of `lines` with the given pointers.
std::vector<Scanned> scan(std::string lines, const std::vector<std::string>& pointers) {
  std::string text = padded(std::move(lines));
  Paths paths;
  for (const auto& pointer : pointers) paths.add(*Pointer::parse(pointer));
  Scanner scanner(paths);
  scanner.begin(text);
  std::vector<Scanned> all;
  for (std::size_t begin = 0; begin < text.size();) {
    std::size_t end = text.find('\n', begin);
    std::vector<Value> values(pointers.size());
    Scanned one;
    one.good = scanner.next(begin, end, values, one.error);
    for (const auto& value : values) {
      one.types.push_back(value.type);
      one.raws.emplace_back(value.raw);
    }
    all.push_back(one);
    begin = end + 1;
  }
  return all;
}

bool good(const std::string& record) {
  return scan(record + "\n", {}).at(0).good;
}
std::string reason(const std::string& record) {
  auto one = scan(record + "\n", {}).at(0);
  return one.good ? "good" : std::to_string(one.error.offset) + ": " + one.error.reason;
}

}  // namespace

TEST_CASE("every kind of JSON value is accepted at the top level") {
  for (const char* text :
       {"{}", "[]", "0", "-0", "1.5e-10", "1E+400", "123456789012345678901234567890", "\"\"", "\"a\"", "true",
        "false", "null", " {} ", "\t[1 , 2 ]\r", "{\"a\" : {\"b\":[{}]}}", "\"\\u00e4\\n\"",
        "\"\\ud83d\\ude00\"", "\"\\\\ud83d\"", "{\"\":0}"}) {
    CAPTURE(text);
    CHECK(good(text));
  }
}

TEST_CASE("everything that the grammar forbids is refused") {
  for (const char* text : {"{",
                           "}",
                           "[",
                           "]",
                           "{]",
                           "[}",
                           "{\"a\"}",
                           "{\"a\":}",
                           "{\"a\":1,}",
                           "[1,]",
                           "[,1]",
                           "[1 2]",
                           "{\"a\":1 \"b\":2}",
                           "{a:1}",
                           "{'a':1}",
                           "01",
                           "-",
                           "1.",
                           ".5",
                           "1e",
                           "+1",
                           "0x10",
                           "NaN",
                           "Infinity",
                           "tru",
                           "truex",
                           "nul",
                           "nulll",
                           "1 2",
                           "{} {}",
                           "\"a\"b",
                           "\"a\"\"b\"",
                           "1\"a\"",
                           "[1]x",
                           "\"\\x\"",
                           "\"\\u12g4\"",
                           "\"\\u12\"",
                           "\"\\ud83d\"",
                           "\"\\ude00\"",
                           "\"\\ud83d\\u0041\"",
                           "\"\\\\ud83d\\ude00\"",
                           "{\"a\":1}}",
                           "[[1]",
                           ":",
                           ",",
                           "{,}",
                           "{:1}",
                           "\\",
                           "\x0c",
                           "[1\x0c]",
                           "\x1a",
                           "{\"a\"\x1a"
                           "1}",
                           "/* */ 1"}) {
    CAPTURE(text);
    CHECK_FALSE(good(text));
  }
}

TEST_CASE("a refusal says where and what was expected") {
  CHECK(reason("{\"a\" 1}") == "5: expected ':', got '1'");
  CHECK(reason("[1, 2") == "5: expected ',' or ']', got the end of the record");
  CHECK(reason("{\"a\":tru}") == "5: expected a value, got 't'");
  CHECK(reason("{\"a\":\"b\\q\"}") == "7: not a valid escape (or half of a surrogate pair): \\q");
  CHECK(reason("{\"a\":01}") == "6: expected the end of a value, got '1'");
  CHECK(reason("{\"a\":\"\xff\"}") == "6: not valid UTF-8: byte 0xff");
  CHECK(reason("{\"a\":\"b}") == "5: a string that is never closed");
  CHECK(reason("{\"a\":\"\t\"}") == "6: a raw control character (byte 0x09) in a string: it must be escaped");
  CHECK(reason("{\"a\":1}x") == "7: expected the end of the record, got 'x'");
}

TEST_CASE("nesting is accepted to the limit and refused behind it, without using the program stack") {
  CHECK(good(std::string(kMaxDepth, '[') + std::string(kMaxDepth, ']')));
  CHECK_FALSE(good(std::string(kMaxDepth + 1, '[') + std::string(kMaxDepth + 1, ']')));
  CHECK_FALSE(good(std::string(1'000'000, '[')));
}

TEST_CASE("a bad record does not disturb its neighbours, whatever it does to the index") {
  for (const char* bad :
       {"{\"a\":\"open}", "\xc3", "{\"a\":\"\\\"}", "{\"a\":\"b\\", "\"", "{", "\\\"", "\"\\", "\x01"}) {
    CAPTURE(bad);
    auto all = scan(std::string("{\"x\":1}\n") + bad + "\n{\"x\":\"2\"}\n", {"/x"});
    REQUIRE(all.size() == 3);
    CHECK(all[0].good);
    CHECK(all[0].raws[0] == "1");
    CHECK_FALSE(all[1].good);
    CHECK(all[2].good);
    CHECK(all[2].raws[0] == "\"2\"");
  }
}

TEST_CASE("wanted fields are found at any depth, with their types and exact bytes") {
  auto one = scan(R"( {"a": {"b":[10, {"c" : -1.50 }], "d":"x\"y"} , "e":true, "f/g":null,"":0})"
                  "\n",
                  {"/a/b/1/c", "/a/d", "/e", "/f~1g", "/a/b", "/", "/missing", "/a/b/0", "/a/b/2"})
                 .at(0);
  REQUIRE(one.good);
  CHECK(one.raws[0] == "-1.50");
  CHECK(one.raws[1] == R"("x\"y")");
  CHECK(one.types[2] == Type::kTrue);
  CHECK(one.types[3] == Type::kNull);
  CHECK(one.raws[4] == R"([10, {"c" : -1.50 }])");
  CHECK(one.raws[5] == "0");
  CHECK(one.types[6] == Type::kMissing);
  CHECK(one.raws[7] == "10");
  CHECK(one.types[8] == Type::kMissing);
}

TEST_CASE("the whole document has the empty pointer") {
  auto one = scan(" [1, 2] \n", {""}).at(0);
  CHECK(one.types[0] == Type::kArray);
  CHECK(one.raws[0] == "[1, 2]");
}

TEST_CASE("keys compare decoded and the first of duplicate keys counts") {
  auto one =
      scan("{\"\\u0061\":1,\"a\":2,\"o\":{\"x\":1},\"o\":{\"x\":2,\"y\":3}}\n", {"/a", "/o/x", "/o/y"}).at(0);
  CHECK(one.raws[0] == "1");
  CHECK(one.raws[1] == "1");
  CHECK(one.types[2] == Type::kMissing);
}

TEST_CASE("an index is not a key of an object by accident, and a numeric key is one") {
  auto one = scan("{\"0\":\"key\",\"a\":[\"element\"]}\n", {"/0", "/a/0"}).at(0);
  CHECK(one.raws[0] == "\"key\"");
  CHECK(one.raws[1] == "\"element\"");
}

TEST_CASE("code points count escapes, pairs and multi-byte characters as one each") {
  CHECK(code_points("\"\"") == 0);
  CHECK(code_points("\"abc\"") == 3);
  CHECK(code_points("\"\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80\"") == 3);
  CHECK(code_points("\"\\n\\u00e4\\ud83d\\ude00\\\\\\\"\"") == 5);
  std::string text = "\"";
  std::size_t points = 0;
  for (int i = 0; i < 500; ++i) {
    for (const char* piece : {"\\\\", "u", "\\u0041", "\xc3\xa9", "\\\"", "\\ud83d\\ude00"}) {
      text += piece;
      ++points;
    }
    text.insert(1, "x");
    ++points;
    std::string scratch;
    std::string closed = text + "\"";
    std::size_t decoded = 0;
    for (char c : decode(closed, scratch))
      decoded += (static_cast<unsigned char>(c) & 0xC0U) != 0x80U ? 1 : 0;
    REQUIRE(decoded == points);
    REQUIRE(code_points(closed) == points);
  }
}

TEST_CASE("a bad escape is found across block borders, a good one is not refused") {
  for (std::size_t lead = 0; lead < 140; ++lead) {
    std::string before(lead, 'x');
    CHECK(find_bad_escape(before + "\\n\\\\\\ud83d\\ude00z") == std::string_view::npos);
    CHECK(find_bad_escape(before + "\\\\\\q") == lead + 2);
    CHECK(find_bad_escape(before + "\\ud83dx") == lead);
    CHECK(find_bad_escape(before + "\\\\ud83d\\ude00") == lead + 7);
  }
}

TEST_CASE("a bad escape is found at every place of a string of any length") {
  for (std::size_t size = 1; size < 100; ++size) {
    CHECK(find_bad_escape(std::string(size, 'x')) == std::string_view::npos);
    for (std::size_t at = 0; at < size; ++at) {
      std::string text(size, 'x');
      text[at] = '\\';
      CHECK(find_bad_escape(text) == (at + 1 < size ? at : std::string_view::npos));
    }
  }
}

TEST_CASE("decoding gives the bytes and quoting gives back an equal string") {
  std::string scratch;
  CHECK(decode(R"("a\u00e4\ud83d\ude00\n\/\"\\")", scratch) == "a\xc3\xa4\xf0\x9f\x98\x80\n/\"\\");
  std::string quoted;
  append_quoted(quoted, std::string_view("a\"\\\n\x01\0z", 7));
  CHECK(quoted == "\"a\\\"\\\\\\n\\u0001\\u0000z\"");
}
