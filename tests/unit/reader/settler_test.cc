#include "workers/reader/settler.h"

#include <doctest/doctest.h>

#include <string>

using namespace leat::reader;
using std::chrono::seconds;

namespace {

const Settler::Time kStart{seconds(1000)};

File file(const std::string& path, std::uint64_t size, std::int64_t mtime_ns = 1) {
  return {path, size, mtime_ns, 7};
}

std::string paths(const std::vector<File>& files) {
  std::string out;
  for (const File& each : files) out += each.path;
  return out;
}

}  // namespace

TEST_CASE("a file is settled once it has not changed for the settle time") {
  Settler settler(seconds(10));
  CHECK(settler.feed({file("a", 1)}, kStart).empty());
  CHECK(settler.feed({file("a", 1)}, kStart + seconds(9)).empty());
  CHECK(paths(settler.feed({file("a", 1)}, kStart + seconds(10))) == "a");
  CHECK(settler.feed({file("a", 1)}, kStart + seconds(30)).empty());
}

TEST_CASE("a change of size or time starts the settle time again") {
  Settler settler(seconds(10));
  settler.feed({file("a", 1, 1)}, kStart);
  CHECK(settler.feed({file("a", 2, 1)}, kStart + seconds(10)).empty());
  CHECK(settler.feed({file("a", 2, 2)}, kStart + seconds(20)).empty());
  CHECK(settler.feed({file("a", 2, 2)}, kStart + seconds(29)).empty());
  CHECK(paths(settler.feed({file("a", 2, 2)}, kStart + seconds(30))) == "a");
}

TEST_CASE("files settle in the order of the listing, each in its own time") {
  Settler settler(seconds(10));
  settler.feed({file("b", 1)}, kStart);
  settler.feed({file("a", 1), file("b", 1), file("c", 1)}, kStart + seconds(5));
  CHECK(paths(settler.feed({file("a", 1), file("b", 1), file("c", 1)}, kStart + seconds(10))) == "b");
  CHECK(paths(settler.feed({file("a", 1), file("b", 1), file("c", 1)}, kStart + seconds(15))) == "ac");
}

TEST_CASE("without a settle time a file is taken at once") {
  Settler settler(seconds(0));
  CHECK(paths(settler.feed({file("a", 1)}, kStart)) == "a");
}

TEST_CASE("a file that comes again after it was returned settles again") {
  Settler settler(seconds(10));
  settler.feed({file("a", 1)}, kStart);
  CHECK(paths(settler.feed({file("a", 1)}, kStart + seconds(10))) == "a");
  CHECK(settler.feed({file("a", 2)}, kStart + seconds(20)).empty());
  CHECK(paths(settler.feed({file("a", 2)}, kStart + seconds(30))) == "a");
}

TEST_CASE("a file that went away before it settled starts over") {
  Settler settler(seconds(10));
  settler.feed({file("a", 1)}, kStart);
  settler.feed({}, kStart + seconds(5));
  CHECK(settler.feed({file("a", 1)}, kStart + seconds(12)).empty());
  CHECK(paths(settler.feed({file("a", 1)}, kStart + seconds(22))) == "a");
}
