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
  CHECK(settler.feed({file("a", 1)}, kStart).settled.empty());
  CHECK(settler.feed({file("a", 1)}, kStart + seconds(9)).settled.empty());
  CHECK(paths(settler.feed({file("a", 1)}, kStart + seconds(10)).settled) == "a");
  CHECK(settler.feed({file("a", 1)}, kStart + seconds(30)).settled.empty());
}

TEST_CASE("a change of size or time starts the settle time again") {
  Settler settler(seconds(10));
  settler.feed({file("a", 1, 1)}, kStart);
  CHECK(settler.feed({file("a", 2, 1)}, kStart + seconds(10)).settled.empty());
  CHECK(settler.feed({file("a", 2, 2)}, kStart + seconds(20)).settled.empty());
  CHECK(settler.feed({file("a", 2, 2)}, kStart + seconds(29)).settled.empty());
  CHECK(paths(settler.feed({file("a", 2, 2)}, kStart + seconds(30)).settled) == "a");
}

TEST_CASE("files settle in the order of the listing, each in its own time") {
  Settler settler(seconds(10));
  settler.feed({file("b", 1)}, kStart);
  settler.feed({file("a", 1), file("b", 1), file("c", 1)}, kStart + seconds(5));
  CHECK(paths(settler.feed({file("a", 1), file("b", 1), file("c", 1)}, kStart + seconds(10)).settled) == "b");
  CHECK(paths(settler.feed({file("a", 1), file("b", 1), file("c", 1)}, kStart + seconds(15)).settled) ==
        "ac");
}

TEST_CASE("without a settle time a file is taken at once") {
  Settler settler(seconds(0));
  CHECK(paths(settler.feed({file("a", 1)}, kStart).settled) == "a");
}

TEST_CASE("a file that changes after it was returned is reported once and not returned again") {
  Settler settler(seconds(0));
  settler.feed({file("a", 1)}, kStart);
  CHECK(settler.feed({file("a", 1)}, kStart + seconds(1)).changed.empty());
  const Settler::Update update = settler.feed({file("a", 2)}, kStart + seconds(2));
  CHECK(paths(update.changed) == "a");
  CHECK(update.settled.empty());
  CHECK(settler.feed({file("a", 3)}, kStart + seconds(3)).changed.empty());
  CHECK(settler.feed({file("a", 3)}, kStart + seconds(4)).settled.empty());
}

TEST_CASE("a file that was returned, went away and came back as it was is not returned again") {
  Settler settler(seconds(0));
  settler.feed({file("a", 1)}, kStart);
  settler.feed({}, kStart + seconds(1));
  const Settler::Update update = settler.feed({file("a", 1)}, kStart + seconds(2));
  CHECK(update.settled.empty());
  CHECK(update.changed.empty());
}

TEST_CASE("a file that went away before it settled starts over") {
  Settler settler(seconds(10));
  settler.feed({file("a", 1)}, kStart);
  settler.feed({}, kStart + seconds(5));
  CHECK(settler.feed({file("a", 1)}, kStart + seconds(12)).settled.empty());
  CHECK(paths(settler.feed({file("a", 1)}, kStart + seconds(22)).settled) == "a");
}
