// The reader's questions, answered by a real ledger.
#include "workers/reader/records.h"

#include <doctest/doctest.h>
#include <fmt/format.h>

#include <string>
#include <vector>

#include "tests/unit/reader/files.h"
#include "workers/reader/known.h"

using namespace leat;
using namespace leat::reader;
using namespace leat::reader::test;

namespace {

ledger::Source source(std::uint64_t id, const std::string& path, ledger::SourceState state) {
  ledger::Source row;
  row.id = id;
  row.path = path;
  row.size = 10 * id;
  row.mtime_ns = -5;
  row.state = state;
  row.place = {2, 8, 3, 4, 0xFEDCBA9876543210, 4, true};
  row.head_bytes = 10;
  return row;
}

void write(const std::string& folder) {
  Result<ledger::Ledger> ledger = ledger::Ledger::open(folder, "t");
  REQUIRE(ledger);
  ledger::Output output;
  output.target = "/out/a";
  output.source = 1;
  output.state = ledger::OutputState::kPublished;
  ledger::Commit commit;
  commit.epoch = ledger->begin_epoch("r").value();
  commit.sources = {source(1, "/in/a", ledger::SourceState::kDone),
                    source(2, "/in/b", ledger::SourceState::kReading)};
  commit.outputs = {&output};
  REQUIRE(ledger->commit(commit));
}

}  // namespace

TEST_CASE("a ledger answers all that the reader asks") {
  TempFolder folder;
  CHECK(*open_records("") == nullptr);
  CHECK(*open_records(folder / "") == nullptr);
  write(folder / "");
  const std::unique_ptr<Records> records = open_records(folder / "").value();
  REQUIRE(records);
  CHECK(records->last_id() == 2);
  std::vector<std::string> done;
  REQUIRE(records->each_done([&](std::string_view path, std::uint64_t size, std::int64_t mtime_ns) {
    done.push_back(fmt::format("{} {} {}", path, size, mtime_ns));
  }));
  CHECK(done == std::vector<std::string>{"/in/a 10 -5"});
  CHECK(records->open()->size() == 1);
  CHECK((*records->at("/in/b"))->id == 2);
  CHECK_FALSE(*records->at("/in/c"));
  CHECK(records->after_due(0, 9)->empty());
  CHECK(records->oldest_unfinished() == 0);
  CHECK(records->like(20, -5)->size() == 1);
  CHECK(*records->published(1));
  CHECK_FALSE(*records->published(2));
}

TEST_CASE("what a ledger says of a place is where reading continues") {
  TempFolder folder;
  write(folder / "");
  Known known = Known::load(open_records(folder / "").value(), {}).value();
  CHECK(known.nothing_to_do({"/in/a", 10, -5, 0, {}}));
  CHECK_FALSE(known.nothing_to_do({"/in/a", 11, -5, 0, {}}));
  const Decision decision = known.decide({"/in/b", 20, -5, 0, {}}).value();
  CHECK(decision.kind == Decision::Kind::kRead);
  CHECK(decision.id == 2);
  CHECK(decision.at == Position{3, 8, {3, 4}, {0xFEDCBA9876543210, 4}, true});
  CHECK(place_of(decision.at).tail_hash == 0xFEDCBA9876543210);
  CHECK(known.decide({"/in/new", 1, 1, 0, {}})->id == 3);
}
