#include "workers/ledger/ledger.h"

#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <fstream>

#include "tests/unit/ledger/help.h"
#include "tests/unit/skip.h"
#include "workers/ledger/rows.h"
#include "workers/ledger/sqlite.h"

using namespace leat;
using namespace leat::ledger;
using namespace leat::ledger::test;

namespace {

bool has(const std::string& text, std::string_view part) {
  return text.find(part) != std::string::npos;
}

}  // namespace

TEST_CASE("a new ledger knows its pipeline and nothing else, and so do those who look") {
  StateFolder folder;
  Ledger ledger = open(folder);
  View view = view_of(folder);
  CHECK(value(view.pipeline()) == "reviews");
  CHECK(value(view.epoch()) == 0);
  CHECK(value(view.last_source_id()) == 0);
  CHECK(value(view.open_sources()).empty());
  CHECK_FALSE(value(view.last_run()));
  CHECK_FALSE(value(view.dead_letters()));
  CHECK(value(view.totals()).done == 0);
  CHECK_FALSE(value(ledger.fingerprint()));
}

TEST_CASE("a folder without a ledger has no view, and looking makes none") {
  StateFolder folder;
  CHECK_FALSE(value(View::open(folder.path())));
  CHECK_FALSE(value(View::open(folder.path() + "/missing")));
  CHECK(std::filesystem::is_empty(folder.path()));
}

TEST_CASE("a source is read back as it was committed, whatever its numbers") {
  StateFolder folder;
  Ledger ledger = open(folder);
  value(ledger.begin_epoch("run-1"));
  Source source = sample(4, "/in/a.jsonl", SourceState::kFailed);
  source.after = "move:/done";
  source.after_done = true;
  source.retry = true;
  put(ledger, {source});
  Source back = value(view_of(folder).source_with(4)).value();
  CHECK(back.path == source.path);
  CHECK(back.size == source.size);
  CHECK(back.mtime_ns == source.mtime_ns);
  CHECK(back.head_hash == source.head_hash);
  CHECK(back.head_bytes == source.head_bytes);
  CHECK(back.state == SourceState::kFailed);
  CHECK(back.place.lines == 3);
  CHECK(back.place.offset == 400);
  CHECK(back.place.frame_offset == 50);
  CHECK(back.place.frame_raw_offset == 60);
  CHECK(back.place.tail_hash == source.place.tail_hash);
  CHECK(back.place.tail_bytes == 80);
  CHECK(back.place.unterminated);
  CHECK(back.counts == source.counts);
  CHECK(back.counts.adds_up());
  CHECK(back.reason == "damaged");
  CHECK(back.after == "move:/done");
  CHECK(back.after_done);
  CHECK(back.retry);
  CHECK(back.run == "run-1");
  CHECK(back.updated_s > 1'700'000'000);
}

TEST_CASE("a path is bytes: what is no UTF-8, quotes and newlines come back and are told apart") {
  StateFolder folder;
  Ledger ledger = open(folder);
  value(ledger.begin_epoch("run-1"));
  std::vector<std::string> paths{
      "/in/\xFF\xFE", "/in/\xC3", "/in/\xC3\xA4", "/in/a\nb", "/in/'; DROP TABLE sources;--",
      "/in/A",        "/in/a",    "/in/ a "};
  std::vector<Source> sources;
  for (const auto& path : paths) sources.push_back(sample(sources.size() + 1, path));
  put(ledger, sources);
  View view = view_of(folder);
  for (std::size_t i = 0; i < paths.size(); ++i) CHECK(value(view.source_at(paths[i])).value().id == i + 1);
  CHECK_FALSE(value(view.source_at("/in/b")));
  std::vector<std::string> seen;
  value(view.each_source([&](const Source& source) {
    seen.push_back(source.path);
    return true;
  }));
  std::sort(paths.begin(), paths.end());
  CHECK(seen == paths);
}

TEST_CASE("a commit of an earlier epoch is refused and changes nothing") {
  StateFolder folder;
  Ledger ledger = open(folder);
  std::uint64_t first = value(ledger.begin_epoch("run-1"));
  put(ledger, {sample(1, "/in/a")});
  Ledger successor = open(folder);
  CHECK(value(successor.begin_epoch("run-1")) == first + 1);

  Output output = sample_output("/out/x");
  Commit late;
  late.epoch = first;
  late.sources = {sample(1, "/in/a", SourceState::kDone), sample(2, "/in/b")};
  late.outputs = {&output};
  late.dead_letters = DeadLetterFile{"/out/dead", 5, 1};
  late.run.id = "run-1";
  late.run.sources_done = 1;
  auto refused = ledger.commit(late);
  REQUIRE_FALSE(refused);
  CHECK(refused.error().fault == Fault::kFatal);
  CHECK(refused.error().exit_code == kExitBug);
  CHECK(output.id == 0);
  View view = view_of(folder);
  CHECK(value(view.source_at("/in/a")).value().state == SourceState::kReading);
  CHECK_FALSE(value(view.source_at("/in/b")));
  CHECK_FALSE(value(view.output_at("/out/x")));
  CHECK_FALSE(value(view.dead_letters()));
  CHECK(value(view.run("run-1")).value().sources_done == 0);
}

TEST_CASE("ids are never used again, not even after everything was forgotten") {
  StateFolder folder;
  {
    Ledger ledger = open(folder);
    value(ledger.begin_epoch("run-1"));
    Output output = sample_output("/out/1");
    put(ledger, {sample(7, "/in/a")}, {&output});
    CHECK(output.id == 1);
    value(ledger.forget_all());
    CHECK_FALSE(value(ledger.view().source_at("/in/a")));
  }
  Ledger ledger = open(folder);
  CHECK(value(ledger.view().last_source_id()) == 7);
  CHECK(value(ledger.view().epoch()) == 1);
  Output output = sample_output("/out/1");
  put(ledger, {}, {&output});
  CHECK(output.id == 2);
}

TEST_CASE("two who look see whole commits while one is made") {
  StateFolder folder;
  Ledger ledger = open(folder);
  value(ledger.begin_epoch("run-1"));
  put(ledger, {sample(1, "/in/a"), sample(2, "/in/b")});
  View one = view_of(folder);
  View two = view_of(folder);
  int seen = 0;
  value(one.each_source([&](const Source& source) {
    if (++seen == 1) {
      put(ledger, {sample(1, "/in/a", SourceState::kDone), sample(2, "/in/b", SourceState::kDone),
                   sample(3, "/in/c")});
      CHECK(value(two.totals()).done == 2);
    }
    CHECK(source.state == SourceState::kReading);
    return true;
  }));
  CHECK(seen == 2);
  CHECK(value(one.totals()).done == 2);
}

TEST_CASE("a source that moves onto another's path takes its place, and two may swap") {
  StateFolder folder;
  Ledger ledger = open(folder);
  value(ledger.begin_epoch("run-1"));
  put(ledger, {sample(1, "/in/a"), sample(2, "/in/b"), sample(3, "/in/c")});
  put(ledger, {sample(1, "/in/b"), sample(2, "/in/a")});
  CHECK(value(ledger.view().source_at("/in/a")).value().id == 2);
  CHECK(value(ledger.view().source_at("/in/b")).value().id == 1);
  put(ledger, {sample(3, "/in/a")});
  CHECK(value(ledger.view().source_at("/in/a")).value().id == 3);
  CHECK_FALSE(value(ledger.view().source_with(2)));
}

TEST_CASE("sources are found by what they are like, and by what is left to do") {
  StateFolder folder;
  Ledger ledger = open(folder);
  value(ledger.begin_epoch("run-1"));
  Source done = sample(1, "/in/done", SourceState::kDone);
  Source waits = sample(2, "/in/waits", SourceState::kDone);
  waits.after = "delete";
  Source removed = sample(3, "/in/removed", SourceState::kDone);
  removed.after = "delete";
  removed.after_done = true;
  Source changed = sample(4, "/in/changed", SourceState::kChanged);
  changed.size = done.size;
  put(ledger,
      {done, waits, removed, changed, sample(5, "/in/failed", SourceState::kFailed), sample(6, "/in/a")});

  std::vector<std::string> open_paths;
  for (const auto& source : value(ledger.view().open_sources())) open_paths.push_back(source.path);
  CHECK(open_paths == std::vector<std::string>{"/in/a", "/in/changed", "/in/failed", "/in/waits"});
  auto like = value(ledger.view().sources_like(done.size, done.mtime_ns));
  REQUIRE(like.size() == 2);
  CHECK(like[0].path == "/in/changed");
  CHECK(value(ledger.view().sources_like(done.size, done.mtime_ns + 1)).empty());
  std::vector<std::string> dones;
  value(ledger.view().each_done([&](const View::Done& row) { dones.emplace_back(row.path); }));
  CHECK(dones == std::vector<std::string>{"/in/done", "/in/waits", "/in/removed"});
  auto page = value(ledger.view().sources_after("/in/changed", 2));
  REQUIRE(page.size() == 2);
  CHECK(page[0].path == "/in/done");
  CHECK(page[1].path == "/in/failed");
}

TEST_CASE("totals are sums, and tell when the last source was done") {
  StateFolder folder;
  Ledger ledger = open(folder);
  value(ledger.begin_epoch("run-1"));
  put(ledger, {sample(1, "/a", SourceState::kDone), sample(2, "/b", SourceState::kDone), sample(3, "/c"),
               sample(4, "/d", SourceState::kChanged), sample(5, "/e", SourceState::kFailed)});
  auto totals = value(ledger.view().totals());
  CHECK(totals.done == 2);
  CHECK(totals.reading == 1);
  CHECK(totals.changed == 1);
  CHECK(totals.failed == 1);
  CHECK(totals.counts.in == 50);
  CHECK(totals.counts.out_bytes == 5 * 777);
  CHECK(totals.last_done_s > 1'700'000'000);
}

TEST_CASE("outputs come back as they were committed and are found by target, source, run and state") {
  StateFolder folder;
  Ledger ledger = open(folder);
  value(ledger.begin_epoch("run-1"));
  Output writing = sample_output("/out/a");
  Output published = sample_output("/out/b", OutputState::kPublished);
  published.n = 9;
  Output complete = sample_output("/out/c", OutputState::kComplete);
  complete.source = 5;
  complete.run = "run-2";
  put(ledger, {}, {&writing, &published, &complete});
  CHECK(writing.id == 1);
  CHECK(complete.id == 3);
  CHECK(writing.updated_s > 1'700'000'000);

  View view = view_of(folder);
  auto unfinished = value(view.unfinished_outputs());
  REQUIRE(unfinished.size() == 2);
  CHECK(unfinished[0].target == "/out/a");
  CHECK(unfinished[0].temporary == "/out/a.tmp");
  CHECK(unfinished[0].source == 4);
  CHECK(unfinished[0].n == 7);
  CHECK(unfinished[0].length == 123);
  CHECK(unfinished[0].record_bytes == 456);
  CHECK(unfinished[1].state == OutputState::kComplete);
  CHECK(value(view.last_n(4)) == 9);
  CHECK(value(view.last_n(1)) == 0);
  CHECK(value(view.outputs_of_source(5)).size() == 1);
  CHECK(value(view.outputs_of_run("run-1")).size() == 2);
  CHECK(value(view.output_at("/out/b")).value().state == OutputState::kPublished);
  CHECK(value(view.output_totals()).published == 1);
  CHECK(value(view.output_totals()).published_bytes == 123);
  CHECK(value(view.output_totals()).writing == 1);

  writing.length = 999;
  writing.state = OutputState::kPublished;
  Output again = sample_output("/out/a");
  put(ledger, {}, {&writing, &again});
  CHECK(value(view.outputs_of_source(4)).at(0).length == 999);
  CHECK(value(view.output_at("/out/a")).value().id == again.id);

  Commit forget;
  forget.epoch = 1;
  forget.forget_outputs = {again.id};
  value(ledger.commit(forget));
  CHECK(value(view.output_at("/out/a")).value().id == writing.id);
}

TEST_CASE("a run's row continues through its epochs, and the dead-letter file is remembered and forgotten") {
  StateFolder folder;
  Ledger ledger = open(folder);
  value(ledger.begin_epoch("run-1"));
  Commit commit;
  commit.epoch = value(ledger.begin_epoch("run-1"));
  commit.run = {"run-1", 0, 42, commit.epoch, {10, 5, 3, 2, 6, 1, 777}, 1, 2, 3};
  commit.dead_letters = DeadLetterFile{"/out/dead", 300, 2};
  value(ledger.commit(commit));
  View view = view_of(folder);
  Run run = value(view.last_run()).value();
  CHECK(run.id == "run-1");
  CHECK(run.started_s > 1'700'000'000);
  CHECK(run.ended_s == 42);
  CHECK(run.epoch == 2);
  CHECK(run.counts == commit.run.counts);
  CHECK(run.sources_done == 1);
  CHECK(run.sources_failed == 2);
  CHECK(run.sources_changed == 3);
  CHECK(value(view.dead_letters()).value().length == 300);
  CHECK(value(view.dead_letters()).value().letters == 2);
  CHECK_FALSE(value(view.run("run-2")));

  CHECK(value(ledger.begin_epoch("run-2")) == 3);
  CHECK(value(view.last_run()).value().id == "run-2");
  CHECK(value(view.run("run-1")).value().epoch == 2);
  commit = {};
  commit.epoch = 3;
  commit.dead_letters = DeadLetterFile{};
  value(ledger.commit(commit));
  CHECK_FALSE(value(view.dead_letters()));
}

TEST_CASE("runs of long ago are forgotten, the last thousand are not") {
  StateFolder folder;
  Ledger ledger = open(folder);
  for (int i = 0; i < 1005; ++i) value(ledger.begin_epoch("run-" + std::to_string(i)));
  CHECK_FALSE(value(ledger.view().run("run-4")));
  CHECK(value(ledger.view().run("run-5")));
  CHECK(value(ledger.view().epoch()) == 1005);
}

TEST_CASE("a source that starts over is at place 0 and continues from whatever its path holds") {
  StateFolder folder;
  Ledger ledger = open(folder);
  value(ledger.begin_epoch("run-1"));
  put(ledger, {sample(3, "/in/a", SourceState::kChanged)});
  CHECK(value(ledger.start_over("/in/a")));
  CHECK_FALSE(value(ledger.start_over("/in/b")));
  Source source = value(ledger.view().source_at("/in/a")).value();
  CHECK(source.id == 3);
  CHECK(source.state == SourceState::kReading);
  CHECK(source.place.offset == 0);
  CHECK(source.place.lines == 0);
  CHECK_FALSE(source.place.unterminated);
  CHECK(source.head_bytes == 0);
  CHECK(source.size == 0);
  CHECK(source.counts == Counts{});
  CHECK(source.reason.empty());
}

namespace {

// What a scan has found, as the writer commits it; then what is due is forgotten. Returns how many.
std::uint64_t scan(Ledger& ledger, std::vector<std::uint64_t> absent, std::vector<std::uint64_t> present = {},
                   bool believed = true) {
  Commit commit;
  commit.epoch = value(ledger.view().epoch());
  commit.presence = {std::move(absent), std::move(present), true, believed};
  value(ledger.commit(commit));
  return value(ledger.prune());
}

}  // namespace

TEST_CASE(
    "a source that 90 scans and one have missed is forgotten, with its outputs; one that was there again is "
    "not") {
  StateFolder folder;
  Ledger ledger = open(folder);
  value(ledger.begin_epoch("run-1"));
  std::vector<Source> sources;
  for (std::uint64_t id = 1; id <= 6; ++id)
    sources.push_back(sample(id, "/in/" + std::to_string(id), SourceState::kDone));
  Output published = sample_output("/out/1", OutputState::kPublished);
  Output unfinished = sample_output("/out/2");
  Output others = sample_output("/out/3", OutputState::kPublished);
  published.source = 1;
  unfinished.source = 2;
  others.source = 5;
  put(ledger, sources, {&published, &unfinished, &others});
  CHECK(scan(ledger, {1, 2, 3, 4}) == 0);
  for (int day = 1; day < 90; ++day) CHECK(scan(ledger, {1}) == 0);  // told again: nothing new
  View view = view_of(folder);
  CHECK(value(view.sought_after(2, 9)).size() == 4);
  CHECK(value(view.sought_after(2, 9))[0].absent);
  put(ledger, {sample(4, "/in/4", SourceState::kDone)});  // whatever is written is there
  CHECK(scan(ledger, {}, {3}) == 1);
  CHECK_FALSE(value(view.source_with(1)));
  CHECK(value(view.outputs_of_source(1)).empty());
  CHECK(value(view.outputs_of_source(5)).size() == 1);
  CHECK(value(view.totals()).done == 5);
  CHECK_FALSE(value(view.sought_after(2, 9))[0].absent);
  CHECK_FALSE(value(view.sought_after(2, 9))[1].absent);
  unfinished.state = OutputState::kPublished;
  put(ledger, {}, {&unfinished});
  CHECK(scan(ledger, {}) == 1);
  CHECK_FALSE(value(view.source_with(2)));
  CHECK(value(view.last_source_id()) == 6);
}

TEST_CASE("looks that are not believed count only for what we have moved or deleted") {
  StateFolder folder;
  Ledger ledger = open(folder);
  value(ledger.begin_epoch("run-1"));
  Source deleted = sample(2, "/in/2", SourceState::kDone);
  deleted.after = "delete";
  deleted.after_done = true;
  put(ledger, {sample(1, "/in/1", SourceState::kDone), deleted});
  scan(ledger, {1, 2});
  std::uint64_t forgotten = 0;
  for (int day = 0; day < 1000; ++day) forgotten += scan(ledger, {}, {}, false);
  CHECK(forgotten == 1);
  CHECK(value(ledger.view().source_with(1)));
  for (int day = 0; day < 89; ++day) CHECK(scan(ledger, {}) == 0);
  CHECK(scan(ledger, {}) == 1);
}

TEST_CASE("a look of a clock that was ahead is not waited for") {
  StateFolder folder;
  Ledger ledger = open(folder);
  value(ledger.begin_epoch("run-1"));
  scan(ledger, {});
  const std::int64_t looked_s = value(ledger.view().looked_s());
  CHECK(looked_s > 1'700'000'000);
  value(value(sqlite::Connection::open(folder.file(), sqlite::Connection::Mode::kWrite, 256))
            .run("UPDATE ledger SET looked_s = looked_s + 1000000; UPDATE ledger SET row_sum "
                 "= " LEAT_LEDGER_SUM));
  value(ledger.begin_epoch("run-1"));
  CHECK(value(ledger.view().looked_s()) < looked_s + 1000);
}

TEST_CASE("10,000 that are forgotten leave their room to the next 10,000") {
  StateFolder folder;
  Ledger ledger = open(folder);
  value(ledger.begin_epoch("run-1"));
  std::uintmax_t size = 0;
  for (std::uint64_t round = 0; round < 3; ++round) {
    std::vector<Source> sources;
    std::vector<std::uint64_t> ids;
    for (std::uint64_t id = round * 10'000 + 1; id <= (round + 1) * 10'000; ++id) {
      sources.push_back(sample(id, "/in/some/folder/" + std::to_string(id), SourceState::kDone));
      ids.push_back(id);
    }
    put(ledger, sources);
    scan(ledger, ids);
    for (int day = 1; day < 90; ++day) scan(ledger, {});
    CHECK(value(ledger.view().totals()).done == 10'000);
    CHECK(scan(ledger, {}) == 10'000);
    CHECK(value(ledger.view().totals()).done == 0);
    if (round == 0) size = std::filesystem::file_size(folder.file());
  }
  CHECK(std::filesystem::file_size(folder.file()) <= size + size / 4);
}

TEST_CASE("the fingerprint is kept") {
  StateFolder folder;
  value(open(folder).set_fingerprint(0xFFFFFFFFFFFFFFF0));
  CHECK(value(open(folder).fingerprint()).value() == 0xFFFFFFFFFFFFFFF0);
}

TEST_CASE("the ledger of another pipeline is refused") {
  StateFolder folder;
  open(folder, "reviews");
  auto refused = Ledger::open(folder.path(), "orders");
  REQUIRE_FALSE(refused);
  CHECK(refused.error().exit_code == kExitConfig);
  CHECK(has(refused.error().text, "reviews"));
}

TEST_CASE("a file that is no ledger, or a damaged one, is named with what to do") {
  StateFolder folder;
  std::ofstream(folder.file()) << std::string(8192, 'x');
  for (bool write : {true, false}) {
    Error error;
    if (write) {
      error = Ledger::open(folder.path(), "reviews").error();
    } else {
      error = View::open(folder.path()).error();
    }
    CHECK(error.fault == Fault::kFatal);
    CHECK(error.exit_code == kExitIo);
    CHECK(has(error.text, folder.file()));
    CHECK(has(error.text, "move both away"));
  }
  CHECK(std::filesystem::file_size(folder.file()) == 8192);
}

TEST_CASE("damage inside a ledger is 74 and says what to do") {
  StateFolder folder;
  {
    Ledger ledger = open(folder);
    value(ledger.begin_epoch("run-1"));
    std::vector<Source> sources;
    for (std::uint64_t id = 1; id <= 500; ++id) sources.push_back(sample(id, "/in/" + std::to_string(id)));
    put(ledger, sources);
  }
  auto size = std::filesystem::file_size(folder.file());
  REQUIRE(size > 32768);
  {
    std::fstream file(folder.file(), std::ios::in | std::ios::out | std::ios::binary);
    file.seekp(4096 * 2);
    file << std::string(size - 4096 * 2, 'x');
  }
  auto opened = Ledger::open(folder.path(), "reviews");
  Result<void> read = opened ? opened->view().each_source([](const Source&) { return true; })
                             : Result<void>(tl::unexpected(opened.error()));
  REQUIRE_FALSE(read);
  CHECK(read.error().fault == Fault::kFatal);
  CHECK(read.error().exit_code == kExitIo);
  CHECK(has(read.error().text, "damaged"));
  CHECK(has(read.error().text, folder.file()));
}

TEST_CASE("no room is told with what to do, and what was committed stays") {
  StateFolder folder;
  Ledger ledger = open(folder);
  value(ledger.begin_epoch("run-1"));
  put(ledger, {sample(1, "/in/a")});
  struct rlimit before {};
  ::getrlimit(RLIMIT_FSIZE, &before);
  // A full disk for those without one: no file may grow. SQLite sees EFBIG then, which is not ENOSPC; so here only that
  // it fails whole.
  ::signal(SIGXFSZ, SIG_IGN);
  struct rlimit small = before;
  small.rlim_cur = 4096;
  ::setrlimit(RLIMIT_FSIZE, &small);
  Commit commit;
  commit.epoch = 1;
  for (std::uint64_t id = 1; id <= 2000; ++id) {
    commit.sources.push_back(sample(id, "/in/" + std::to_string(id) + std::string(200, 'x')));
  }
  auto failed = ledger.commit(commit);
  ::setrlimit(RLIMIT_FSIZE, &before);
  REQUIRE_FALSE(failed);
  CHECK(failed.error().fault == Fault::kFatal);
  CHECK(failed.error().exit_code == kExitIo);
  CHECK(value(ledger.view().source_at("/in/a")));
  CHECK_FALSE(value(ledger.view().source_with(2)));
  value(ledger.commit(commit));
  CHECK(value(ledger.view().source_with(2000)));
}

TEST_CASE("a ledger in a folder that may not be written can be checked when nobody writes it") {
  StateFolder folder;
  {
    Ledger ledger = open(folder);
    value(ledger.begin_epoch("run-1"));
    put(ledger, {sample(1, "/in/a % ? #")});
  }
  std::filesystem::permissions(folder.path(),
                               std::filesystem::perms::owner_read | std::filesystem::perms::owner_exec);
  View view = view_of(folder);
  CHECK(value(view.source_with(1)));
  if (::geteuid() == 0) LEAT_SKIP("root may write everywhere");
  auto refused = Ledger::open(folder.path(), "reviews");
  REQUIRE_FALSE(refused);
  CHECK(refused.error().exit_code == kExitConfig);
}
