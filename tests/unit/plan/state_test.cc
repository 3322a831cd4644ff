#include "daemon/plan/state.h"

#include <doctest/doctest.h>
#include <sys/stat.h>

#include "tests/unit/folder.h"
#include "workers/ledger/ledger.h"

using namespace leat;
using namespace leat::plan;
using namespace leat::test;

namespace {

constexpr const char* kPipeline =
    "version: 1\nname: orders\nsource: {paths: [/in/*]}\nsink: {path: /out/a}\n";

}  // namespace

TEST_CASE("a folder without a ledger, a wrong pipeline and another's ledger are 78 with what is wrong") {
  Folder folder;
  folder.write("p.yaml", kPipeline);
  folder.write("bad.yaml", "version: 1\nnam: x\n");
  auto none = open_state({"", folder.root()});
  REQUIRE_FALSE(none);
  CHECK(none.error().exit_code == kExitConfig);
  CHECK(none.error().text.find(folder.root()) != std::string::npos);
  auto bad = open_state({folder.path("bad.yaml"), folder.root()});
  REQUIRE_FALSE(bad);
  CHECK(bad.error().exit_code == kExitConfig);
  CHECK(bad.error().text.find("bad.yaml:1:1: the key name is missing") != std::string::npos);
  CHECK(bad.error().text.ends_with("(and 3 more: leat check " + folder.path("bad.yaml") + ")"));
  { REQUIRE(ledger::Ledger::open(folder.root(), "reviews")); }
  auto other = open_state({folder.path("p.yaml"), folder.root()});
  REQUIRE_FALSE(other);
  CHECK(other.error().exit_code == kExitConfig);
  CHECK(other.error().text.find("reviews") != std::string::npos);
  auto good = open_state({"", folder.root()});
  REQUIRE(good);
  CHECK(good->pipeline == "reviews");
}

TEST_CASE("pipes and devices are volatile, files and what is not there yet are not") {
  Folder folder;
  REQUIRE(::mkfifo(folder.path("fifo").c_str(), 0600) == 0);
  folder.write("file", "");
  CHECK(is_volatile(folder.path("fifo")));
  CHECK(is_volatile("/dev/null"));
  CHECK(is_volatile("/dev/stdout"));
  CHECK_FALSE(is_volatile(folder.path("file")));
  CHECK_FALSE(is_volatile(folder.path("{stem}.jsonl")));
}

TEST_CASE("a run's id is a time and a number, also where clock and process are the same") {
  std::string id = new_run_id();
  CHECK(id.size() > 17);
  CHECK(id[8] == 'T');
  CHECK(id.substr(15, 2) == "Z-");
  CHECK(id != new_run_id());
}
