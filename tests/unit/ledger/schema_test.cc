#include "workers/ledger/schema.h"

#include <utility>
#include <vector>

#include "tests/unit/ledger/help.h"
#include "workers/ledger/sqlite.h"

using namespace leat;
using namespace leat::ledger;
using namespace leat::ledger::test;
using sqlite::Connection;

namespace {

Connection connect(const StateFolder& folder) {
  return value(Connection::open(folder.file(), Connection::Mode::kWrite, 256));
}

}  // namespace

TEST_CASE("a ledger of version 0, made by hand, becomes one of this version") {
  StateFolder folder;
  {
    Connection db = connect(folder);
    // A page, our id, and no tables: what an open leaves that was killed before its first transaction.
    value(db.run("PRAGMA page_size=4096; PRAGMA application_id=" + std::to_string(kApplicationId)));
    CHECK(value(db.ask("PRAGMA user_version")) == 0);
  }
  CHECK_FALSE(value(View::open(folder.path())));
  Ledger ledger = open(folder);
  CHECK(value(ledger.begin_epoch("run-1")) == 1);
  CHECK(value(connect(folder).ask("PRAGMA user_version")) == static_cast<std::int64_t>(migrations().size()));
}

TEST_CASE("a step more is taken on what is there, and rows stay") {
  StateFolder folder;
  {
    Ledger ledger = open(folder);
    value(ledger.begin_epoch("run-1"));
    put(ledger, {sample(1, "/in/a")});
  }
  Connection db = connect(folder);
  std::vector<const char*> steps(migrations().begin(), migrations().end());
  steps.push_back("ALTER TABLE sources ADD COLUMN colour TEXT; UPDATE sources SET colour = 'blue';");
  value(migrate(db, steps, folder.file()));
  CHECK(value(db.ask("SELECT count(*) FROM sources WHERE colour = 'blue' AND path = '/in/a'")) == 1);
  CHECK(value(db.ask("PRAGMA user_version")) == static_cast<std::int64_t>(steps.size()));
  value(migrate(db, steps, folder.file()));  // nothing is left to do
}

TEST_CASE("a ledger of version 1 keeps its sources, all of them there, and is checked for what is not") {
  StateFolder folder;
  {
    Connection db = connect(folder);
    value(migrate(db, migrations().first(1), folder.file()));
    value(
        db.run("UPDATE ledger SET pipeline = 'reviews', epoch = 7; INSERT INTO sources VALUES (3, '/in/a', "
               "8, 9, 'done', "
               "'', 0, 1, 2, 0, 0, 5, 2, 0, 6, 8, 1, 1, 0, 0, 0, 1, 2, '', 0, 'run-1', 1700000000)"));
  }
  CHECK(View::open(folder.path()).error().text.find("of version 1") != std::string::npos);
  Ledger ledger = open(folder);
  CHECK(value(ledger.begin_epoch("run-2")) == 8);
  const auto sought = value(view_of(folder).sought_after(0, 9));
  REQUIRE(sought.size() == 1);
  CHECK(sought[0].path == "/in/a");
  CHECK_FALSE(sought[0].absent);
  CHECK(value(ledger.view().looked_s()) > 1'700'000'000);  // no look before tomorrow
  CHECK(value(ledger.view().source_with(3)).value().counts.in == 1);
}

TEST_CASE("a step that fails leaves everything as it was") {
  StateFolder folder;
  open(folder);
  Connection db = connect(folder);
  std::vector<const char*> steps(migrations().begin(), migrations().end());
  steps.push_back("CREATE TABLE half (a)");
  steps.push_back("CREATE TABLE sources (a)");
  CHECK_FALSE(migrate(db, steps, folder.file()));
  CHECK(value(db.ask("SELECT count(*) FROM sqlite_schema WHERE name = 'half'")) == 0);
  CHECK(value(db.ask("PRAGMA user_version")) == static_cast<std::int64_t>(migrations().size()));
}

TEST_CASE("a ledger of a later version is refused by those who write and those who look") {
  StateFolder folder;
  open(folder);
  value(connect(folder).run("PRAGMA user_version=99; UPDATE ledger SET version = 99"));
  auto write = Ledger::open(folder.path(), "reviews");
  auto opened = View::open(folder.path());
  REQUIRE_FALSE(write);
  REQUIRE_FALSE(opened);
  CHECK(write.error().exit_code == kExitConfig);
  CHECK(opened.error().exit_code == kExitConfig);
  CHECK(write.error().text.find("version 99") != std::string::npos);
}

TEST_CASE("a database of another program is refused and not touched") {
  StateFolder folder;
  value(connect(folder).run("CREATE TABLE cookies (a)"));
  auto refused = Ledger::open(folder.path(), "reviews");
  REQUIRE_FALSE(refused);
  CHECK(refused.error().exit_code == kExitConfig);
  Connection db = connect(folder);
  CHECK(value(db.ask("PRAGMA user_version")) == 0);
  auto mode = db.query("PRAGMA journal_mode");
  CHECK(value(mode.next()));
  CHECK(mode.text(0) == "delete");
}

TEST_CASE("what a start asks for is answered by indexes, not by looking at all sources") {
  StateFolder folder;
  open(folder);
  Connection db = connect(folder);
  for (const auto& [sql, index] : std::vector<std::pair<const char*, const char*>>{
           {"EXPLAIN QUERY PLAN SELECT * FROM sources WHERE path = ?", "sources_path (path=?)"},
           {"EXPLAIN QUERY PLAN SELECT * FROM sources WHERE path > ? ORDER BY path LIMIT ?",
            "sources_path (path>?)"},
           {"EXPLAIN QUERY PLAN SELECT * FROM sources WHERE size = ? AND mtime_ns = ? ORDER BY path",
            "sources_identity (size=? AND mtime_ns=?)"},
           {"EXPLAIN QUERY PLAN SELECT max(n) FROM outputs WHERE source = ?", "outputs_source (source=?)"},
           {"EXPLAIN QUERY PLAN SELECT * FROM outputs WHERE target = ? ORDER BY id DESC LIMIT 1",
            "outputs_target (target=?)"},
           {"EXPLAIN QUERY PLAN SELECT * FROM outputs WHERE run = ? ORDER BY id", "outputs_run (run=?)"}}) {
    auto plan = db.query(sql);
    REQUIRE(value(plan.next()));
    CAPTURE(std::string(plan.text(3)));
    CHECK(plan.text(3).find(index) != std::string_view::npos);
  }
}
