#include "workers/reader/presence.h"

#include <doctest/doctest.h>

#include <filesystem>
#include <string>
#include <thread>

#include "tests/unit/reader/files.h"
#include "tests/unit/reader/ledger_of.h"

using namespace leat;
using namespace leat::reader;
using namespace leat::reader::test;

namespace {

// A folder, a ledger, and a reader's look of the one for what is in the other.
struct Desk {
  TempFolder folder;
  std::shared_ptr<Rows> rows = std::make_shared<Rows>();
  ReadAhead::Options given;
  std::unique_ptr<ReadAhead::Shared> shared;
  std::unique_ptr<PresenceScan> daily;

  explicit Desk(const std::string& glob = "in/*") : given(options(folder / glob)) { rows->looked_s = 0; }

  void known(std::uint64_t id, const std::string& path, SourceState state = SourceState::kDone) {
    ledger::Source& row = rows->row(id);
    row.path = path;
    row.state = state;
  }
  PresenceScan& start() {
    daily.reset();
    shared = std::make_unique<ReadAhead::Shared>(with_ledger(given, rows));
    daily = std::make_unique<PresenceScan>(*shared, *shared->options.known);
    return *daily;
  }
  // One part of a presence scan, as text.
  std::string scan() { return text(Presence{start().next().value()}); }
};

}  // namespace

TEST_CASE("a scan names what is absent and what is present again, and nothing of what is being worked on") {
  Desk desk;
  desk.known(1, desk.folder.write("in/there", "a"));
  desk.known(2, desk.folder / "in/gone");
  desk.known(3, desk.folder / "in/failed and gone", SourceState::kFailed);
  desk.known(4, desk.folder / "in/changed and gone", SourceState::kChanged);
  desk.known(5, desk.folder / "in/half read and gone", SourceState::kReading);
  desk.known(6, desk.folder / "in/gone before");
  desk.known(7, desk.folder.write("in/back", "a"));
  desk.known(8, desk.folder / "in/gone and to be moved");
  desk.rows->row(8).after = "move:/done";
  desk.known(9, desk.folder / "elsewhere/gone");  // of globs of before
  desk.rows->absent = {6, 7};
  CHECK(desk.scan() == "presence: absent [2, 3, 4] present [7], whole, believed");
}

TEST_CASE("a folder that is missing or empty, or a mount that is unavailable, is not believed") {
  Desk desk;
  desk.known(1, desk.folder / "in/gone");
  desk.known(2, desk.folder / "in/deleted by us");
  desk.rows->row(2).after = "delete";
  desk.rows->row(2).after_done = true;
  const std::string not_believed = "presence: absent [2] present [], whole";
  CHECK(desk.scan() == not_believed);
  desk.folder.folder("in");
  CHECK(desk.scan() == not_believed);
  desk.folder.write("in/.hidden", "a");
  CHECK(desk.scan() == not_believed);
  desk.folder.write("in/other", "a");
  CHECK(desk.scan() == "presence: absent [1, 2] present [], whole, believed");
  desk.given.source.paths.push_back(desk.folder / "in2/a*");  // each of them must be there
  CHECK(desk.scan() == not_believed);
  desk.given.source.paths.pop_back();
  desk.given.source.require_mount = desk.folder / "in";
  CHECK(desk.scan() == not_believed);
}

TEST_CASE("a folder that goes away in the middle of a look ends it, and it is put off") {
  Desk desk;
  desk.folder.write("in/a", "a");
  for (std::uint64_t id = 1; id <= 600; ++id) desk.known(id, desk.folder / "in/" + std::to_string(id));
  PresenceScan& daily = desk.start();
  CHECK(daily.due());
  REQUIRE(daily.next());
  std::filesystem::rename(desk.folder / "in", desk.folder / "away");
  const auto part = daily.next();
  REQUIRE_FALSE(part);
  CHECK(part.error().fault == Fault::kRetry);
  CHECK_FALSE(daily.due());
}

TEST_CASE("a look of many comes in parts, the last of which is the whole of it") {
  Desk desk;
  desk.folder.write("in/a", "a");
  for (std::uint64_t id = 1; id <= 1200; ++id) desk.known(id, desk.folder / "in/" + std::to_string(id));
  PresenceScan& daily = desk.start();
  std::vector<std::uint64_t> absent;
  for (const bool whole : {false, false, true}) {
    const ledger::Presence part = daily.next().value();
    CHECK(part.whole == whole);
    CHECK(part.believed == whole);
    CHECK(part.absent.size() <= 512);
    absent.insert(absent.end(), part.absent.begin(), part.absent.end());
  }
  CHECK(absent.size() == 1200);
  CHECK(absent.back() == 1200);
}

TEST_CASE("a link to nothing is there: what it leads to may be on another mount") {
  Desk desk;
  desk.folder.write("in/a", "a");
  desk.known(1, desk.folder / "in/link");
  std::filesystem::create_symlink("/nothing", desk.folder / "in/link");
  CHECK(desk.scan() == "presence: absent [] present [], whole, believed");
}

TEST_CASE("a look is due a day after the last one, whoever made it and whatever the clock was then") {
  Desk desk;
  CHECK(desk.start().due());
  CHECK(desk.daily->next().value().whole);
  CHECK_FALSE(desk.daily->due());
  desk.rows->looked_s = std::time(nullptr) - 23 * 3600;
  CHECK_FALSE(desk.start().due());
  desk.rows->looked_s = std::time(nullptr) - 25 * 3600;
  CHECK(desk.start().due());
  desk.given.day = 50ms;
  desk.rows->looked_s = std::time(nullptr) + 10 * 365 * 86'400LL;  // no further away than a day
  CHECK_FALSE(desk.start().due());
  std::this_thread::sleep_for(60ms);
  CHECK(desk.daily->due());
}

TEST_CASE("without a ledger there is nothing to look for") {
  ReadAhead::Options given = options("/in/*");
  ReadAhead::Shared shared(given);
  CHECK_FALSE(PresenceScan(shared, *shared.options.known).due());
}

TEST_CASE("following, nothing is decided between a look and its commit") {
  Desk desk;
  desk.folder.write("in/a", "1\n");
  desk.given.follow = true;
  ReadAhead ahead(with_ledger(desk.given, desk.rows));
  for (const char* expected : {"listed 1 2", "opened 1 a", "chunk 1 1\n", "ended 1 at 2 2"}) {
    CHECK(wait_text(ahead) == expected);
  }
  CHECK(wait_text(ahead) == "presence: absent [] present [], whole, believed");
  desk.folder.write("in/b", "2\n");
  std::this_thread::sleep_for(50ms);
  CHECK_FALSE(ahead.try_pop());
  ahead.committed(0);
  CHECK(wait_text(ahead) == "opened 2 b");
}
