// A ledger that is not what was written is refused, whatever it is that is wrong with it.
#include <fmt/format.h>
#include <sys/stat.h>

#include <fstream>
#include <iterator>
#include <random>
#include <string>
#include <vector>

#include "tests/unit/ledger/help.h"
#include "workers/ledger/rows.h"
#include "workers/ledger/schema.h"
#include "workers/ledger/sqlite.h"

using namespace leat;
using namespace leat::ledger;
using namespace leat::ledger::test;

namespace {

std::string read(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

void write(const std::string& path, const std::string& bytes) {
  std::ofstream(path, std::ios::binary | std::ios::trunc) << bytes;
}

std::string line(const Source& row) {
  return fmt::format("{} {} {} {} {} {} {} {} {} {}\n", row.id, row.path, row.size, row.mtime_ns,
                     to_string(row.state), row.place.lines, row.place.offset, row.place.tail_hash,
                     row.counts.in, row.after_done);
}

std::string line(const Output& row) {
  return fmt::format("{} {} {} {} {} {}\n", row.id, row.target, row.temporary, row.source,
                     to_string(row.state), row.length);
}

// All that a run goes by, by whatever way it asks.
Result<std::string> content(Ledger& ledger) {
  std::string text;
  View& view = ledger.view();
  for (std::uint64_t id = 1; id <= 60; ++id) {
    auto with = view.source_with(id);
    auto at = view.source_at("/in/" + std::to_string(id));
    auto output = view.output_at("/out/" + std::to_string(id));
    if (!with) return tl::unexpected(with.error());
    if (!at) return tl::unexpected(at.error());
    if (!output) return tl::unexpected(output.error());
    text += *with ? line(**with) : "none\n";
    text += *at ? line(**at) : "none\n";
    text += *output ? line(**output) : "none\n";
  }
  auto done =
      view.each_done([&](const View::Done& row) { text += fmt::format("{} {}\n", row.path, row.size); });
  if (!done) return tl::unexpected(done.error());
  auto open = view.open_sources();
  if (!open) return tl::unexpected(open.error());
  for (const Source& row : *open) text += line(row);
  auto unfinished = view.unfinished_outputs();
  if (!unfinished) return tl::unexpected(unfinished.error());
  for (const Output& row : *unfinished) text += line(row);
  auto letters = view.dead_letters();
  if (!letters) return tl::unexpected(letters.error());
  text += fmt::format("{} {}\n", (*letters)->path, (*letters)->length);
  text += fmt::format("{} {}\n", value(view.epoch()), value(ledger.fingerprint()).value_or(0));
  return text;
}

void fill(const StateFolder& folder) {
  Ledger ledger = open(folder);
  value(ledger.set_fingerprint(7));
  value(ledger.begin_epoch("run-1"));
  std::vector<Source> sources;
  std::vector<Output> outputs;
  std::vector<Output*> rows;
  for (std::uint64_t id = 1; id <= 50; ++id) {
    sources.push_back(
        sample(id, "/in/" + std::to_string(id), id % 7 == 0 ? SourceState::kReading : SourceState::kDone));
    outputs.push_back(sample_output("/out/" + std::to_string(id),
                                    id % 5 == 0 ? OutputState::kWriting : OutputState::kPublished));
    outputs.back().source = id;
  }
  for (Output& output : outputs) rows.push_back(&output);
  Commit commit;
  commit.epoch = value(ledger.view().epoch());
  commit.sources = std::move(sources);
  commit.outputs = rows;
  commit.dead_letters = DeadLetterFile{"/out/dead", 4711, 3};
  value(ledger.commit(commit));
}

}  // namespace

TEST_CASE("of 400 single bits that are another one, none is believed") {
  StateFolder folder;
  fill(folder);
  const std::string good = read(folder.file());
  Ledger untouched = open(folder);
  const std::string want = value(content(untouched));
  std::mt19937_64 chance(7);
  int refused = 0;
  for (int i = 0; i < 400; ++i) {
    std::size_t at = chance() % good.size();
    while (i % 2 == 0 && good[at] == 0) at = chance() % good.size();  // where something is written
    if (i < 100) at = static_cast<std::size_t>(i);                    // the header of the file
    std::string bad = good;
    bad[at] = static_cast<char>(bad[at] ^ (1 << (chance() % 8)));
    StateFolder other;
    write(other.file(), bad);
    CAPTURE(at);
    auto ledger = Ledger::open(other.path(), "reviews");
    Result<std::string> got = ledger ? content(*ledger) : tl::unexpected(ledger.error());
    if (got) {
      CHECK(*got == want);
    } else {
      ++refused;
      CHECK_MESSAGE(got.error().exit_code == kExitIo, got.error().text);
      CHECK(got.error().fault == Fault::kFatal);
      CHECK(got.error().text.find("damaged") != std::string::npos);
    }
  }
  CHECK(refused > 100);
}

TEST_CASE("whoever reads a damaged row is told, too") {
  StateFolder folder;
  fill(folder);
  {
    auto db = value(sqlite::Connection::open(folder.file(), sqlite::Connection::Mode::kWrite, 256));
    value(db.run("UPDATE sources SET offset = offset + 1 WHERE id = 3"));
  }
  View view = view_of(folder);
  CHECK(view.source_with(2));
  auto row = view.source_with(3);
  REQUIRE_FALSE(row);
  CHECK(row.error().exit_code == kExitIo);
  CHECK(row.error().text.find("the row of source 3 is not what was written") != std::string::npos);
  CHECK_FALSE(view.each_source([](const Source&) { return true; }));
  CHECK_FALSE(Ledger::open(folder.path(), "reviews"));
}

TEST_CASE("a ledger of version 2 keeps its rows and has their sums from then on") {
  StateFolder folder;
  {
    auto db = value(sqlite::Connection::open(folder.file(), sqlite::Connection::Mode::kWrite, 256));
    value(migrate(db, migrations().first(2), folder.file()));
    value(db.run(
        "UPDATE ledger SET pipeline = 'reviews', epoch = 7; INSERT INTO sources VALUES (3, '/in/a', "
        "8, 9, 'done', '', 0, 1, 2, 0, 0, 5, 2, 0, 6, 8, 1, 1, 0, 0, 0, 1, 2, 'delete', 0, 'run-1', "
        "1700000000, "
        "NULL); INSERT INTO outputs VALUES (5, '/out/a', '/out/.a', 0, 1, 'writing', 2, 2, 'run-1', 1)"));
  }
  Ledger ledger = open(folder);
  CHECK(value(ledger.begin_epoch("run-2")) == 8);
  CHECK(value(ledger.view().source_with(3)).value().held_by == 5);
  CHECK(value(ledger.view().after_due(0, 9)).empty());
  auto db = value(sqlite::Connection::open(folder.file(), sqlite::Connection::Mode::kWrite, 256));
  value(db.run("UPDATE outputs SET length = 3"));
  CHECK_FALSE(Ledger::open(folder.path(), "reviews"));
}

TEST_CASE("source.after waits for the outputs that may hold the records of its source") {
  StateFolder folder;
  Ledger ledger = open(folder);
  value(ledger.begin_epoch("run-1"));
  Output all = sample_output("/out/1");
  all.source = 0;
  Source done = sample(1, "/in/a", SourceState::kDone);
  done.after = "delete";
  put(ledger, {done}, {&all});
  CHECK(value(ledger.view().after_due(0, 9)).empty());
  CHECK(value(ledger.view().oldest_unfinished()) == all.id);
  all.state = OutputState::kComplete;
  Output next = sample_output("/out/2");
  next.source = 0;
  Source later = sample(2, "/in/b", SourceState::kDone);
  later.after = "delete";
  put(ledger, {later}, {&all, &next});
  CHECK(value(ledger.view().after_due(0, 9)).empty());
  all.state = OutputState::kPublished;
  put(ledger, {}, {&all});
  auto due = value(ledger.view().after_due(0, 9));
  REQUIRE(due.size() == 1);
  CHECK(due[0].id == 1);
  CHECK(value(ledger.view().oldest_unfinished()) == next.id);
  next.state = OutputState::kPublished;
  put(ledger, {}, {&next});
  CHECK(value(ledger.view().after_due(1, 9)).size() == 1);
}

TEST_CASE(
    "the state belongs to the pipeline file; a copy of that is another one, and one that was moved takes it "
    "along") {
  StateFolder folder;
  StateFolder files;
  const std::string a = files.path() + "/a.yaml";
  const std::string b = files.path() + "/b.yaml";
  write(a, "x");
  value(Ledger::open(folder.path(), "reviews", a));
  CHECK(value(Ledger::open(folder.path(), "reviews", a)).take_note().empty());
  write(b, "x");
  auto refused = Ledger::open(folder.path(), "reviews", b);
  REQUIRE_FALSE(refused);
  CHECK(refused.error().exit_code == kExitConfig);
  CHECK(refused.error().text.find("belongs to " + a) != std::string::npos);
  CHECK(value(view_of(folder).file()) == a);
  REQUIRE(::rename(a.c_str(), b.c_str()) == 0);
  CHECK(value(Ledger::open(folder.path(), "reviews", b)).take_note().find(a + " does not exist any more") ==
        0);
  CHECK(value(view_of(folder).file()) == b);
}
