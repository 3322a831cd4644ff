#include <doctest/doctest.h>

#include "daemon/cli/commands.h"

using namespace leat;
using namespace leat::cli;

TEST_CASE("what a hostile file says cannot reach the terminal's controls") {
  proto::DeadLetter letter;
  letter.source = "/in/\x1b]0;x\a";
  letter.reason = std::string(500, 'r');
  std::string line = letter_line(3, letter);
  CHECK(line.find('\x1b') == std::string::npos);
  CHECK(line.find("...") != std::string::npos);
  CHECK(line.size() < 200);
}
