#include "workers/writer/sink.h"

#include <doctest/doctest.h>
#include <sys/resource.h>

#include <filesystem>
#include <memory>

#include "tests/unit/writer/desk.h"

using namespace leat;
using namespace std::chrono_literals;
using test::Desk;
using test::read_file;
using writer::Sink;
using Names = std::vector<std::string>;

namespace {

const Sink::Clock::time_point kStart{1000s};

config::Sink sink_config(const std::string& path) {
  config::Sink config;
  config.path = path;
  return config;
}

Sink sink_of(const config::Sink& config, bool force = false) {
  return Sink(config, {"/in/**/*.jsonl"}, force,
              [] { return std::chrono::system_clock::time_point(20'000h); });
}

struct Rotating {
  Desk desk;
  test::Folder& folder = desk.folder;
  config::Sink config = sink_config(desk.path("{n}"));
  explicit Rotating(std::uint64_t bytes, std::chrono::milliseconds idle = 0ms) {
    config.rotate = {bytes, idle};
  }
};

}  // namespace

TEST_CASE("one output takes the records of all sources in the order they come") {
  Desk desk;
  Sink sink = sink_of(sink_config(desk.path("out")));
  REQUIRE(sink.start(desk.ledger->view(), false));
  REQUIRE(sink.source_opened(1, "/in/a.jsonl", true));
  REQUIRE(sink.write(1, "a1\na2\n"));
  REQUIRE(sink.source_ended(1));
  REQUIRE(sink.source_opened(2, "/in/b.jsonl", true));
  REQUIRE(sink.write(2, "b1\n"));
  REQUIRE(sink.source_ended(2));
  REQUIRE(desk.finish(sink));
  CHECK(read_file(desk.path("out")) == "a1\na2\nb1\n");
  auto published = sink.take_published();
  REQUIRE(published.size() == 1);
  CHECK(published[0].path == desk.path("out"));
  CHECK(published[0].record_bytes == 9);
  CHECK(published[0].disk_bytes == 9);
  CHECK(sink.take_published().empty());
}

TEST_CASE("{stem} gives each source an output, published with the commit after its source's end") {
  Desk desk;
  Sink sink = sink_of(sink_config(desk.path("{stem}.out")));
  REQUIRE(sink.start(desk.ledger->view(), false));
  CHECK(sink.per_source());
  REQUIRE(sink.source_opened(1, "/in/a.jsonl.zst", true));
  REQUIRE(sink.write(1, "a\n"));
  REQUIRE(sink.source_ended(1));
  CHECK(desk.folder.names() == Names{".a.out.leat-tmp"});
  CHECK(sink.pending());
  REQUIRE(desk.commit(sink));
  CHECK(desk.folder.names() == Names{"a.out"});
  CHECK(desk.ledger->view().output_at(desk.path("a.out")).value()->state == ledger::OutputState::kComplete);
  REQUIRE(sink.source_opened(2, "/in/b.jsonl", true));
  REQUIRE(sink.source_ended(2));
  REQUIRE(desk.commit(sink));
  CHECK(desk.ledger->view().output_at(desk.path("a.out")).value()->state == ledger::OutputState::kPublished);
  CHECK(read_file(desk.path("a.out")) == "a\n");
  CHECK(read_file(desk.path("b.out")).empty());
  CHECK(sink.open_outputs() == 0);
}

TEST_CASE("two sources that are open at once keep apart") {
  Desk desk;
  Sink sink = sink_of(sink_config(desk.path("{stem}")));
  REQUIRE(sink.start(desk.ledger->view(), false));
  REQUIRE(sink.source_opened(1, "/in/a.jsonl", true));
  REQUIRE(sink.source_opened(2, "/in/b.jsonl", true));
  REQUIRE(sink.write(1, "a\n"));
  REQUIRE(sink.write(2, "b\n"));
  REQUIRE(sink.write(1, "aa\n"));
  CHECK(sink.open_outputs() == 2);
  CHECK(sink.uncommitted_bytes() == 7);
  REQUIRE(desk.finish(sink));
  CHECK(read_file(desk.path("a")) == "a\naa\n");
  CHECK(read_file(desk.path("b")) == "b\n");
}

TEST_CASE("{path} creates the folders below the fixed one") {
  Desk desk;
  Sink sink = sink_of(sink_config(desk.path("{path}.out")));
  REQUIRE(sink.start(desk.ledger->view(), false));
  REQUIRE(sink.source_opened(1, "/in/x/y/a.jsonl", true));
  REQUIRE(sink.source_ended(1));
  REQUIRE(desk.commit(sink));
  CHECK(desk.folder.names() == Names{"x/y/a.out"});
}

TEST_CASE("a fixed folder that is missing is not created, whatever comes below it") {
  Desk desk;
  Sink each = sink_of(sink_config(desk.path("none/{path}")));
  auto started = each.start(desk.ledger->view(), false);
  REQUIRE_FALSE(started);
  CHECK(started.error().text.find("mkdir -p") != std::string::npos);
  CHECK(started.error().exit_code == kExitConfig);
  Sink dated = sink_of(sink_config(desk.path("none/{date}/x")));
  CHECK_FALSE(dated.start(desk.ledger->view(), false));
  CHECK_FALSE(test::exists(desk.path("none")));
}

TEST_CASE("{date} is the day of the injected clock") {
  Desk desk;
  Sink sink = sink_of(sink_config(desk.path("{date}/x")));
  REQUIRE(sink.start(desk.ledger->view(), false));
  REQUIRE(sink.source_opened(1, "/in/a", true));
  REQUIRE(desk.finish(sink));
  CHECK(desk.folder.names() == Names{"1972-04-13/x"});
}

TEST_CASE("two sources with one target are refused with both their names, even with force") {
  Desk desk;
  Sink sink = sink_of(sink_config(desk.path("{stem}")), true);
  REQUIRE(sink.start(desk.ledger->view(), false));
  REQUIRE(sink.source_opened(1, "/in/x/a.jsonl", true));
  REQUIRE(sink.source_ended(1));
  auto second = sink.source_opened(2, "/in/y/a.jsonl.gz", true);
  REQUIRE_FALSE(second);
  CHECK(second.error().fault == Fault::kFatal);
  CHECK(second.error().exit_code == kExitConfig);
  CHECK(second.error().text.find("/in/x/a.jsonl and /in/y/a.jsonl.gz") != std::string::npos);
}

TEST_CASE("an output never replaces its own source, even with force") {
  Desk desk;
  test::write_file(desk.path("a.jsonl"), "source\n");
  {
    Sink sink = sink_of(sink_config(desk.path("{stem}.jsonl")), true);
    REQUIRE(sink.start(desk.ledger->view(), false));
    CHECK_FALSE(sink.source_opened(1, desk.path("a.jsonl"), true));
  }
  CHECK(read_file(desk.path("a.jsonl")) == "source\n");
}

TEST_CASE(
    "a fixed target that exists is refused with the first source; with force it is replaced at the end") {
  Desk desk;
  test::write_file(desk.path("out"), "old");
  Sink refused = sink_of(sink_config(desk.path("out")));
  REQUIRE(
      refused.start(desk.ledger->view(), false));  // with nothing to do there would be nothing to complain of
  auto opened = refused.source_opened(1, "/in/a", true);
  REQUIRE_FALSE(opened);
  CHECK(opened.error().text.find("--force") != std::string::npos);
  Sink sink = sink_of(sink_config(desk.path("out")), true);
  REQUIRE(sink.start(desk.ledger->view(), false));
  REQUIRE(sink.source_opened(1, "/in/a", true));
  CHECK(read_file(desk.path("out")) == "old");
  REQUIRE(desk.finish(sink));
  CHECK(read_file(desk.path("out")).empty());
}

TEST_CASE("a second run with the same sink and another state is refused with its first source") {
  Desk desk;
  Desk other;
  Sink first = sink_of(sink_config(desk.path("out")));
  REQUIRE(first.start(desk.ledger->view(), false));
  REQUIRE(first.source_opened(1, "/in/a", true));
  Sink second = sink_of(sink_config(desk.path("out")));
  REQUIRE(second.start(other.ledger->view(), false));
  auto opened = second.source_opened(1, "/in/a", true);
  REQUIRE_FALSE(opened);
  CHECK(opened.error().text.find("has locked") != std::string::npos);
  REQUIRE(desk.finish(first));
  CHECK(test::exists(desk.path("out")));
}

TEST_CASE("a sink whose mount is unavailable does not start, and may be asked again") {
  Desk desk;
  config::Sink config = sink_config(desk.path("out"));
  config.require_mount = desk.folder.root();
  auto started = sink_of(config).start(desk.ledger->view(), false);
  REQUIRE_FALSE(started);
  CHECK(started.error().fault == Fault::kRetry);
  CHECK(desk.folder.names().empty());
}

TEST_CASE("a run whose sources are empty leaves an empty, valid output; one without sources leaves none") {
  Desk desk;
  config::Sink config = sink_config(desk.path("out.zst"));
  config.compression = config::Compression::kZstd;
  Sink nothing = sink_of(config);
  REQUIRE(nothing.start(desk.ledger->view(), false));
  REQUIRE(desk.finish(nothing));
  CHECK(desk.folder.names().empty());
  Sink sink = sink_of(config);
  REQUIRE(sink.start(desk.ledger->view(), false));
  REQUIRE(sink.source_opened(1, "/in/a", true));
  REQUIRE(sink.source_ended(1));
  REQUIRE(desk.finish(sink));
  CHECK(test::unzstd(read_file(desk.path("out.zst"))).empty());
}

TEST_CASE("a source that only continues opens an output with its first record, not before") {
  Desk desk;
  Sink sink = sink_of(sink_config(desk.path("out")));
  REQUIRE(sink.start(desk.ledger->view(), false));
  REQUIRE(sink.source_opened(1, "/in/a", false));
  CHECK(sink.open_outputs() == 0);
  REQUIRE(sink.write(1, "x\n"));
  CHECK(sink.open_outputs() == 1);
}

TEST_CASE("a commit makes all open outputs decodable, and tells the ledger only what is new") {
  Desk desk;
  config::Sink config = sink_config(desk.path("{stem}"));
  config.compression = config::Compression::kGzip;
  Sink sink = sink_of(config);
  REQUIRE(sink.start(desk.ledger->view(), false));
  REQUIRE(sink.source_opened(1, "/in/a", true));
  REQUIRE(sink.source_opened(2, "/in/b", true));
  REQUIRE(sink.write(1, "a\n"));
  REQUIRE(sink.write(2, "bb\n"));
  CHECK(sink.uncommitted_bytes() == 5);
  REQUIRE(desk.commit(sink));
  CHECK(sink.uncommitted_bytes() == 0);
  CHECK(desk.unfinished().size() == 2);
  ledger::Commit again;
  REQUIRE(sink.prepare(again));
  CHECK(again.outputs.empty());
  CHECK(test::ungzip(read_file(desk.path(".a.leat-tmp"))) == "a\n");
  CHECK(test::ungzip(read_file(desk.path(".b.leat-tmp"))) == "bb\n");
}

TEST_CASE("a sink that goes keeps what the ledger knows and removes what it does not") {
  Desk desk;
  {
    Sink sink = sink_of(sink_config(desk.path("{stem}")));
    REQUIRE(sink.start(desk.ledger->view(), false));
    REQUIRE(sink.source_opened(1, "/in/a", true));
    REQUIRE(sink.source_ended(1));
    REQUIRE(sink.source_opened(2, "/in/b", true));
    REQUIRE(sink.write(2, "b\n"));
    REQUIRE(desk.commit(sink));
    REQUIRE(sink.source_opened(3, "/in/c", true));
    CHECK(desk.folder.names().size() == 3);
  }
  CHECK(desk.folder.names() == Names{".b.leat-tmp", "a"});
}

TEST_CASE("the record that would pass rotate.bytes goes into the next file; one that just fits does not") {
  Rotating with(8);
  Sink sink = sink_of(with.config);
  REQUIRE(sink.start(with.desk.ledger->view(), false));
  for (const char* record : {"111\n", "222\n", "333\n", "44444\n", "5\n"}) REQUIRE(sink.write(1, record));
  REQUIRE(with.desk.finish(sink));
  CHECK(with.folder.names() == Names{"000001", "000002", "000003"});
  CHECK(read_file(with.folder.path("000001")) == "111\n222\n");
  CHECK(read_file(with.folder.path("000002")) == "333\n");
  CHECK(read_file(with.folder.path("000003")) == "44444\n5\n");
}

TEST_CASE("rotation falls at the same records however they are handed over") {
  std::string text;
  for (int i = 0; i < 500; ++i) text += std::string(static_cast<std::size_t>(i * 31 % 67), 'x') + "\n";
  Rotating whole(1000);
  Rotating pieces(1000);
  Sink a = sink_of(whole.config);
  Sink b = sink_of(pieces.config);
  REQUIRE(a.start(whole.desk.ledger->view(), false));
  REQUIRE(b.start(pieces.desk.ledger->view(), false));
  REQUIRE(a.write(1, text));
  for (std::size_t at = 0; at < text.size();) {
    std::size_t end = text.find('\n', at) + 1;
    REQUIRE(b.write(1, std::string_view(text).substr(at, end - at)));
    at = end;
  }
  REQUIRE(whole.desk.finish(a));
  REQUIRE(pieces.desk.finish(b));
  REQUIRE(whole.folder.names() == pieces.folder.names());
  std::string joined;
  for (const std::string& name : whole.folder.names()) {
    std::string bytes = read_file(whole.folder.path(name));
    CHECK(bytes == read_file(pieces.folder.path(name)));
    CHECK(bytes.size() <= 1000);
    joined += bytes;
  }
  CHECK(joined == text);
}

TEST_CASE("a record larger than rotate.bytes gets a file of its own") {
  Rotating with(8);
  Sink sink = sink_of(with.config);
  REQUIRE(sink.start(with.desk.ledger->view(), false));
  REQUIRE(sink.write(1, "1\nvery long indeed\nalso too long\n2\n"));
  REQUIRE(with.desk.finish(sink));
  CHECK(with.folder.names() == Names{"000001", "000002", "000003", "000004"});
  CHECK(read_file(with.folder.path("000002")) == "very long indeed\n");
  CHECK(read_file(with.folder.path("000004")) == "2\n");
}

TEST_CASE("each source counts its own {n}") {
  Desk desk;
  config::Sink config = sink_config(desk.path("{stem}-{n}"));
  config.rotate.bytes = 2;
  Sink sink = sink_of(config);
  REQUIRE(sink.start(desk.ledger->view(), false));
  REQUIRE(sink.source_opened(1, "/in/a", true));
  REQUIRE(sink.write(1, "1\n2\n"));
  REQUIRE(sink.source_ended(1));
  REQUIRE(sink.source_opened(2, "/in/b", true));
  REQUIRE(sink.source_ended(2));
  REQUIRE(desk.commit(sink));
  CHECK(desk.folder.names() == Names{"a-000001", "a-000002", "b-000001"});
}

TEST_CASE("an idle output is published with the next commit, and the next record opens the next number") {
  Rotating with(0, 60s);
  Sink sink = sink_of(with.config);
  REQUIRE(sink.start(with.desk.ledger->view(), false));
  REQUIRE(sink.write(1, "1\n"));
  REQUIRE(sink.tick(kStart));
  REQUIRE(sink.tick(kStart + 59s));
  CHECK_FALSE(test::exists(with.folder.path("000001")));
  REQUIRE(sink.tick(kStart + 60s));
  CHECK(sink.pending());
  REQUIRE(with.desk.commit(sink));
  CHECK(with.folder.names() == Names{"000001"});
  CHECK(sink.open_outputs() == 0);
  REQUIRE(sink.write(1, "2\n"));
  REQUIRE(with.desk.finish(sink));
  CHECK(with.folder.names() == Names{"000001", "000002"});
}

TEST_CASE("a write starts the idle time again") {
  Rotating with(0, 60s);
  Sink sink = sink_of(with.config);
  REQUIRE(sink.start(with.desk.ledger->view(), false));
  REQUIRE(sink.write(1, "1\n"));
  REQUIRE(sink.tick(kStart));
  REQUIRE(sink.write(1, "2\n"));
  REQUIRE(sink.tick(kStart + 50s));
  REQUIRE(sink.tick(kStart + 100s));
  CHECK(sink.open_outputs() == 1);
  REQUIRE(sink.tick(kStart + 110s));
  REQUIRE(with.desk.commit(sink));
  CHECK(read_file(with.folder.path("000001")) == "1\n2\n");
}

TEST_CASE("an output without records is never idle, and finishing after an idle close adds no empty file") {
  Rotating with(0, 60s);
  Sink sink = sink_of(with.config);
  REQUIRE(sink.start(with.desk.ledger->view(), false));
  REQUIRE(sink.source_opened(1, "/in/a", true));
  REQUIRE(sink.tick(kStart));
  REQUIRE(sink.tick(kStart + 1h));
  CHECK(sink.open_outputs() == 1);
  REQUIRE(sink.write(1, "1\n"));
  REQUIRE(sink.tick(kStart + 2h));
  REQUIRE(sink.tick(kStart + 3h));
  REQUIRE(with.desk.finish(sink));
  CHECK(with.folder.names() == Names{"000001"});
}

TEST_CASE("a number that is taken stops the rotation") {
  Rotating with(2);
  test::write_file(with.folder.path("000002"), "theirs");
  {
    Sink sink = sink_of(with.config);
    REQUIRE(sink.start(with.desk.ledger->view(), false));
    CHECK_FALSE(sink.write(1, "1\n2\n"));
  }
  CHECK(with.folder.names() == Names{"000002"});
  CHECK(read_file(with.folder.path("000002")) == "theirs");
}

TEST_CASE("more outputs than descriptors may wait for one commit") {
  Rotating with(2);
  Sink sink = sink_of(with.config);
  REQUIRE(sink.start(with.desk.ledger->view(), false));
  std::string text;
  for (int i = 0; i < 100; ++i) text += "1\n";
  rlimit before{};
  ::getrlimit(RLIMIT_NOFILE, &before);
  rlimit few = before;
  few.rlim_cur = 80;
  ::setrlimit(RLIMIT_NOFILE, &few);
  auto written = sink.write(1, text);
  auto finished = with.desk.finish(sink);
  ::setrlimit(RLIMIT_NOFILE, &before);
  REQUIRE(written);
  REQUIRE(finished);
  CHECK(with.folder.names().size() == 100);
  CHECK(with.desk.unfinished().empty());
  CHECK(with.desk.ledger->view().last_n(0) == 100);
}

TEST_CASE("{n} continues from what the ledger knows") {
  Rotating with(2);
  for (int run = 0; run < 2; ++run) {
    Sink sink = sink_of(with.config);
    REQUIRE(sink.start(with.desk.ledger->view(), false));
    REQUIRE(sink.write(1, "1\n2\n"));
    REQUIRE(with.desk.finish(sink));
  }
  CHECK(with.folder.names() == Names{"000001", "000002", "000003", "000004"});
}

TEST_CASE("two sources with one target are refused, also when the first is long done, and across runs") {
  Desk desk;
  desk.add_source(1, "/in/x/a.jsonl");
  Sink first = sink_of(sink_config(desk.path("{stem}")), true);
  REQUIRE(first.start(desk.ledger->view(), false));
  REQUIRE(first.source_opened(1, "/in/x/a.jsonl", true));
  REQUIRE(first.source_ended(1));
  REQUIRE(desk.finish(first));
  for (bool taken_away : {false, true}) {
    if (taken_away) std::filesystem::remove(desk.path("a"));
    Sink second = sink_of(sink_config(desk.path("{stem}")), true);
    REQUIRE(second.start(desk.ledger->view(), false));
    auto opened = second.source_opened(2, "/in/y/a.jsonl", true);
    REQUIRE_FALSE(opened);
    CHECK(opened.error().text.find("/in/x/a.jsonl and /in/y/a.jsonl") != std::string::npos);
  }
}

TEST_CASE("a published output whose records do not come again is not replaced, even with force") {
  Desk desk;
  auto run = [&](bool force) {
    Sink sink = sink_of(sink_config(desk.path("out")), force);
    REQUIRE(sink.start(desk.ledger->view(), false));
    auto opened = sink.source_opened(1, "/in/a", true);
    return opened ? desk.finish(sink) : opened;
  };
  REQUIRE(run(false));
  auto again = run(true);
  REQUIRE_FALSE(again);
  CHECK(again.error().exit_code == kExitConfig);
  CHECK(again.error().text.find("--fresh --force") != std::string::npos);
  // Once it has been taken away there is room for new records, and the ledger forgets the old one.
  std::filesystem::remove(desk.path("out"));
  REQUIRE(run(false));
  int rows = 0;
  auto known = desk.ledger->view().outputs_of_source(0);
  for (const auto& row : *known) {
    rows += row.state == ledger::OutputState::kPublished ? 1 : 0;
  }
  CHECK(rows == 1);
}

TEST_CASE("the output of a source that is started over is replaced, also when that took two writers") {
  for (bool killed : {false, true}) {
    Desk desk;
    desk.add_source(1, "/in/a");
    test::write_file(desk.path("a"), "old\n");
    ledger::Commit before;
    before.epoch = desk.epoch;
    ledger::Output row;
    row.target = desk.path("a");
    row.source = 1;
    row.n = 1;
    row.state = ledger::OutputState::kPublished;
    row.length = 4;
    before.outputs.push_back(&row);
    REQUIRE(desk.ledger->commit(before));

    auto sink = std::make_unique<Sink>(sink_of(sink_config(desk.path("{stem}"))));
    REQUIRE(sink->start(desk.ledger->view(), false));
    REQUIRE(sink->source_opened(1, "/in/a", true));
    REQUIRE(sink->write(1, "new\n"));
    REQUIRE(desk.commit(*sink));
    CHECK(read_file(desk.path("a")) == "old\n");
    if (killed) {
      sink = std::make_unique<Sink>(sink_of(sink_config(desk.path("{stem}"))));
      desk.restart();
      REQUIRE(sink->start(desk.ledger->view(), true));
      REQUIRE(sink->source_opened(1, "/in/a", false));
    }
    REQUIRE(sink->source_ended(1));
    REQUIRE(desk.finish(*sink));
    CHECK(read_file(desk.path("a")) == "new\n");
    REQUIRE(desk.commit(*sink));
    CHECK(desk.ledger->view().outputs_of_source(1)->size() == 1);  // the old one is forgotten
  }
}

TEST_CASE("an output of a source that has grown since it was published is not replaced by the rest") {
  Desk desk;
  desk.add_source(1, "/in/a");
  {
    Sink sink = sink_of(sink_config(desk.path("{stem}")));
    REQUIRE(sink.start(desk.ledger->view(), false));
    REQUIRE(sink.source_opened(1, "/in/a", true));
    REQUIRE(sink.source_ended(1));
    REQUIRE(desk.finish(sink));
  }
  Sink sink = sink_of(sink_config(desk.path("{stem}")), true);
  REQUIRE(sink.start(desk.ledger->view(), false));
  REQUIRE(sink.source_opened(1, "/in/a", false));
  auto written = sink.write(1, "rest\n");
  REQUIRE_FALSE(written);
  CHECK(written.error().text.find("--reread /in/a") != std::string::npos);
}

TEST_CASE("a suspended source keeps its output unfinished, without a descriptor, and continues with it") {
  Desk desk;
  Sink sink = sink_of(sink_config(desk.path("{stem}")));
  REQUIRE(sink.start(desk.ledger->view(), false));
  REQUIRE(sink.source_opened(1, "/in/a", true));
  REQUIRE(sink.write(1, "one\n"));
  REQUIRE(sink.source_suspended(1));
  CHECK(sink.pending());
  REQUIRE(desk.finish(sink));
  CHECK(desk.folder.names() == Names{".a.leat-tmp"});
  desk.restart();
  Sink next = sink_of(sink_config(desk.path("{stem}")));
  REQUIRE(next.start(desk.ledger->view(), false));
  REQUIRE(next.source_opened(1, "/in/a", false));
  REQUIRE(next.write(1, "two\n"));
  REQUIRE(next.source_ended(1));
  REQUIRE(desk.finish(next));
  CHECK(read_file(desk.path("a")) == "one\ntwo\n");
}

TEST_CASE("a source that ends before it is opened again publishes what there was") {
  Desk desk;
  {
    Sink sink = sink_of(sink_config(desk.path("{stem}")));
    REQUIRE(sink.start(desk.ledger->view(), false));
    REQUIRE(sink.source_opened(1, "/in/a", true));
    REQUIRE(sink.write(1, "one\n"));
    REQUIRE(desk.commit(sink));
  }
  Sink sink = sink_of(sink_config(desk.path("{stem}")));
  REQUIRE(sink.start(desk.ledger->view(), false));
  REQUIRE(sink.source_ended(1));
  REQUIRE(desk.commit(sink));
  CHECK(read_file(desk.path("a")) == "one\n");
}
