#include "daemon/replay/letters.h"

#include <doctest/doctest.h>

#include <fstream>

#include "proto/base/human.h"
#include "tests/unit/folder.h"

using namespace leat;
using namespace leat::replay;
using namespace leat::test;

namespace {

constexpr const char* kLine =
    R"({"source":"/in/a.jsonl","line":7,"offset":2101,"stage":"filter","reason":"no \"value\"","attempts":1,"record":"{\"a\":"})";

}  // namespace

TEST_CASE("a dead letter is read, and written back byte for byte") {
  auto letter = parse_letter(kLine);
  REQUIRE(letter);
  CHECK(letter->source == "/in/a.jsonl");
  CHECK(letter->line == 7);
  CHECK(letter->offset == 2101);
  CHECK(letter->stage == "filter");
  CHECK(letter->reason == "no \"value\"");
  CHECK(letter->attempts == 1);
  CHECK(letter->record == "{\"a\":");
  CHECK(to_line(*letter) == std::string(kLine) + "\n");
}

TEST_CASE("bytes that are no UTF-8 come out of base64 and go back into it") {
  std::string line =
      R"({"source_base64":"L2luL/8=","line":1,"offset":0,"stage":"filter","reason":"r","attempts":2,"record_base64":"//4="})";
  auto letter = parse_letter(line);
  REQUIRE(letter);
  CHECK(letter->source == "/in/\xFF");
  CHECK(letter->record == "\xFF\xFE");
  CHECK(to_line(*letter) == line + "\n");
}

TEST_CASE("a letter by reference has a length and no record") {
  std::string line =
      R"({"source":"/a","line":1,"offset":5,"stage":"reader","reason":"too long","attempts":1,"length":99999999})";
  auto letter = parse_letter(line);
  REQUIRE(letter);
  CHECK_FALSE(letter->record);
  CHECK(letter->length == 99999999);
  CHECK(to_line(*letter) == line + "\n");
}

TEST_CASE("what is no dead letter is told from one") {
  for (const char* line :
       {"", "x", "{}", "[1]", R"({"source":"/a"})",
        R"({"source":"/a","line":1,"offset":5,"stage":"reader","reason":"r","attempts":1})",
        R"({"source":"/a","line":-1,"offset":5,"stage":"s","reason":"r","attempts":1,"record":""})",
        R"({"source":"/a","line":1,"offset":5,"stage":"s","reason":"r","attempts":1,"record_base64":"x"})"}) {
    CAPTURE(line);
    CHECK_FALSE(parse_letter(line));
  }
}

TEST_CASE(
    "lines are given whole, however long, up to where they count and without one that is not finished") {
  Folder folder;
  std::string path = folder.path("a");
  std::string big(200'000, 'x');
  std::ofstream(path) << "a\n\n" << big << "\nunfinished";
  auto read = [&](std::uint64_t until) {
    std::vector<std::string> lines;
    auto in = Lines::open(path, until);
    REQUIRE(in);
    for (;;) {
      auto line = in->next();
      REQUIRE(line);
      if (!*line) return lines;
      lines.emplace_back(**line);
      CHECK(in->number() == lines.size());
    }
  };
  CHECK(read(UINT64_MAX) == std::vector<std::string>{"a", "", big});
  CHECK(read(3) == std::vector<std::string>{"a", ""});
  CHECK(read(4) == std::vector<std::string>{"a", ""});
  CHECK(read(0).empty());
  auto missing = Lines::open(folder.path("missing"));
  REQUIRE_FALSE(missing);
  CHECK(missing.error().exit_code == kExitNoInput);
}

TEST_CASE("what a hostile file says cannot reach the terminal's controls") {
  Letter letter = *parse_letter(kLine);
  letter.source = "/in/\x1b]0;x\a";
  letter.reason = std::string(500, 'r');
  std::string line = letter_line(3, letter);
  CHECK(line.find('\x1b') == std::string::npos);
  CHECK(line.find("...") != std::string::npos);
  CHECK(line.size() < 200);
}
