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
  proto::DeadLetter letter = *proto::parse_dead_letter(kLine);
  letter.source = "/in/\x1b]0;x\a";
  letter.reason = std::string(500, 'r');
  std::string line = letter_line(3, letter);
  CHECK(line.find('\x1b') == std::string::npos);
  CHECK(line.find("...") != std::string::npos);
  CHECK(line.size() < 200);
}
