#include "proto/dead_letter.h"

#include <doctest/doctest.h>

#include <fstream>
#include <string>

using namespace leat;
using namespace leat::proto;

namespace {

constexpr const char* kLine =
    R"({"source":"/in/a.jsonl","line":7,"offset":2101,"stage":"filter","reason":"no \"value\"","attempts":1,"record":"{\"a\":"})";

std::string line_of(const DeadLetter& letter) {
  std::string line;
  append_line(line, letter);
  return line;
}

}  // namespace

TEST_CASE("dead letters are written as they always were, and read back") {
  std::ifstream golden(std::string(LEAT_SOURCE_DIR) + "/tests/golden/dead-letters-v1.jsonl",
                       std::ios::binary);
  std::size_t lines = 0;
  for (std::string line; std::getline(golden, line); ++lines) {
    CAPTURE(line);
    auto letter = parse_dead_letter(line);
    REQUIRE(letter);
    CHECK(line_of(*letter) == line + "\n");
    Buffer buffer;
    append_line(buffer, DeadLetterView{letter->source, letter->line, letter->offset, letter->stage,
                                       letter->reason, letter->attempts, letter->record, letter->length});
    CHECK(buffer.view() == line + "\n");
  }
  CHECK(lines == 4);
}

TEST_CASE("a dead letter is read, and written back byte for byte") {
  auto letter = parse_dead_letter(kLine);
  REQUIRE(letter);
  CHECK(letter->source == "/in/a.jsonl");
  CHECK(letter->line == 7);
  CHECK(letter->offset == 2101);
  CHECK(letter->stage == "filter");
  CHECK(letter->reason == "no \"value\"");
  CHECK(letter->attempts == 1);
  CHECK(letter->record == "{\"a\":");
  CHECK(line_of(*letter) == std::string(kLine) + "\n");
}

TEST_CASE("bytes that are no UTF-8 come out of base64 and go back into it") {
  std::string line =
      R"({"source_base64":"L2luL/8=","line":1,"offset":0,"stage":"filter","reason":"r","attempts":2,"record_base64":"//4="})";
  auto letter = parse_dead_letter(line);
  REQUIRE(letter);
  CHECK(letter->source == "/in/\xFF");
  CHECK(letter->record == "\xFF\xFE");
  CHECK(line_of(*letter) == line + "\n");
}

TEST_CASE("a letter by reference has a length and no record") {
  std::string line =
      R"({"source":"/a","line":1,"offset":5,"stage":"reader","reason":"too long","attempts":1,"length":99999999})";
  auto letter = parse_dead_letter(line);
  REQUIRE(letter);
  CHECK_FALSE(letter->record);
  CHECK(letter->length == 99999999);
  CHECK(line_of(*letter) == line + "\n");
}

TEST_CASE("what is no dead letter is told from one") {
  for (const char* line :
       {"", "x", "{}", "[1]", R"({"source":"/a"})",
        R"({"source":"/a","line":1,"offset":5,"stage":"reader","reason":"r","attempts":1})",
        R"({"source":"/a","line":-1,"offset":5,"stage":"s","reason":"r","attempts":1,"record":""})",
        R"({"source":"/a","line":1,"offset":5,"stage":"s","reason":"r","attempts":1,"record_base64":"x"})"}) {
    CAPTURE(line);
    CHECK_FALSE(parse_dead_letter(line));
  }
}
