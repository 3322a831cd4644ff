#include "daemon/replay/letters.h"

#include <doctest/doctest.h>

#include <fstream>

#include "tests/unit/folder.h"

using namespace leat;
using namespace leat::replay;
using namespace leat::test;

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
