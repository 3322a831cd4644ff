#include "workers/writer/sink.h"

#include <doctest/doctest.h>

#include "tests/unit/writer/folder.h"

using namespace leat;
using namespace std::chrono_literals;
using test::Folder;
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
  Folder folder;
  config::Sink config = sink_config(folder.path("{n}"));
  explicit Rotating(std::uint64_t bytes, std::chrono::milliseconds idle = 0ms) {
    config.rotate = {bytes, idle};
  }
};

}  // namespace

TEST_CASE("one output takes the records of all sources in the order they come") {
  Folder folder;
  Sink sink = sink_of(sink_config(folder.path("out")));
  REQUIRE(sink.check_start());
  REQUIRE(sink.source_opened(1, "/in/a.jsonl"));
  REQUIRE(sink.write(1, "a1\na2\n"));
  REQUIRE(sink.source_ended(1));
  REQUIRE(sink.source_opened(2, "/in/b.jsonl"));
  REQUIRE(sink.write(2, "b1\n"));
  REQUIRE(sink.source_ended(2));
  REQUIRE(sink.finish());
  CHECK(read_file(folder.path("out")) == "a1\na2\nb1\n");
  auto published = sink.take_published();
  REQUIRE(published.size() == 1);
  CHECK(published[0].path == folder.path("out"));
  CHECK(published[0].record_bytes == 9);
  CHECK(published[0].disk_bytes == 9);
  CHECK(sink.take_published().empty());
}

TEST_CASE("{stem} gives each source an output, published when the source ends") {
  Folder folder;
  Sink sink = sink_of(sink_config(folder.path("{stem}.out")));
  REQUIRE(sink.check_start());
  CHECK(sink.per_source());
  REQUIRE(sink.source_opened(1, "/in/a.jsonl.zst"));
  REQUIRE(sink.write(1, "a\n"));
  REQUIRE(sink.source_ended(1));
  CHECK(folder.names() == Names{"a.out"});
  REQUIRE(sink.source_opened(2, "/in/b.jsonl"));
  REQUIRE(sink.source_ended(2));
  CHECK(read_file(folder.path("a.out")) == "a\n");
  CHECK(read_file(folder.path("b.out")).empty());
  CHECK(sink.open_outputs() == 0);
}

TEST_CASE("two sources that are open at once keep apart") {
  Folder folder;
  Sink sink = sink_of(sink_config(folder.path("{stem}")));
  REQUIRE(sink.check_start());
  REQUIRE(sink.source_opened(1, "/in/a.jsonl"));
  REQUIRE(sink.source_opened(2, "/in/b.jsonl"));
  REQUIRE(sink.write(1, "a\n"));
  REQUIRE(sink.write(2, "b\n"));
  REQUIRE(sink.write(1, "aa\n"));
  CHECK(sink.open_outputs() == 2);
  CHECK(sink.uncommitted_bytes() == 7);
  REQUIRE(sink.finish());
  CHECK(read_file(folder.path("a")) == "a\naa\n");
  CHECK(read_file(folder.path("b")) == "b\n");
}

TEST_CASE("{path} creates the folders below the fixed one") {
  Folder folder;
  Sink sink = sink_of(sink_config(folder.path("{path}.out")));
  REQUIRE(sink.check_start());
  REQUIRE(sink.source_opened(1, "/in/x/y/a.jsonl"));
  REQUIRE(sink.source_ended(1));
  CHECK(folder.names() == Names{"x/y/a.out"});
}

TEST_CASE("a fixed folder that is missing is not created, whatever comes below it") {
  Folder folder;
  Sink each = sink_of(sink_config(folder.path("none/{path}")));
  auto started = each.check_start();
  REQUIRE_FALSE(started);
  CHECK(started.error().text.find("mkdir -p") != std::string::npos);
  CHECK(started.error().exit_code == kExitConfig);
  Sink dated = sink_of(sink_config(folder.path("none/{date}/x")));
  CHECK_FALSE(dated.check_start());
  CHECK_FALSE(test::exists(folder.path("none")));
}

TEST_CASE("{date} is the day of the injected clock") {
  Folder folder;
  Sink sink = sink_of(sink_config(folder.path("{date}/x")));
  REQUIRE(sink.check_start());
  REQUIRE(sink.finish());
  CHECK(folder.names() == Names{"1972-04-13/x"});
}

TEST_CASE("two sources with one target are refused with both their names, even with force") {
  Folder folder;
  Sink sink = sink_of(sink_config(folder.path("{stem}")), true);
  REQUIRE(sink.check_start());
  REQUIRE(sink.source_opened(1, "/in/x/a.jsonl"));
  REQUIRE(sink.source_ended(1));
  auto second = sink.source_opened(2, "/in/y/a.jsonl.gz");
  REQUIRE_FALSE(second);
  CHECK(second.error().fault == Fault::kFatal);
  CHECK(second.error().exit_code == kExitConfig);
  CHECK(second.error().text.find("/in/x/a.jsonl and /in/y/a.jsonl.gz") != std::string::npos);
}

TEST_CASE("an output never replaces its own source, even with force") {
  Folder folder;
  test::write_file(folder.path("a.jsonl"), "source\n");
  Sink sink = sink_of(sink_config(folder.path("{stem}.jsonl")), true);
  REQUIRE(sink.check_start());
  CHECK_FALSE(sink.source_opened(1, folder.path("a.jsonl")));
  sink.abandon();
  CHECK(read_file(folder.path("a.jsonl")) == "source\n");
}

TEST_CASE("a fixed target that exists is refused at the start; with force it is replaced at the end") {
  Folder folder;
  test::write_file(folder.path("out"), "old");
  auto refused = sink_of(sink_config(folder.path("out"))).check_start();
  REQUIRE_FALSE(refused);
  CHECK(refused.error().text.find("--force") != std::string::npos);
  Sink sink = sink_of(sink_config(folder.path("out")), true);
  REQUIRE(sink.check_start());
  CHECK(read_file(folder.path("out")) == "old");
  REQUIRE(sink.finish());
  CHECK(read_file(folder.path("out")).empty());
}

TEST_CASE("a second run with the same sink is refused at its start") {
  Folder folder;
  Sink first = sink_of(sink_config(folder.path("out")));
  REQUIRE(first.check_start());
  auto second = sink_of(sink_config(folder.path("out"))).check_start();
  REQUIRE_FALSE(second);
  CHECK(second.error().text.find("another leat") != std::string::npos);
  REQUIRE(first.finish());
  CHECK(test::exists(folder.path("out")));
}

TEST_CASE("a sink whose mount is away does not start, and may be asked again") {
  Folder folder;
  config::Sink config = sink_config(folder.path("out"));
  config.require_mount = folder.root();
  auto started = sink_of(config).check_start();
  REQUIRE_FALSE(started);
  CHECK(started.error().fault == Fault::kRetry);
  CHECK(folder.names().empty());
}

TEST_CASE("a run without a source still leaves its fixed output, empty and valid") {
  Folder folder;
  config::Sink config = sink_config(folder.path("out.zst"));
  config.compression = config::Compression::kZstd;
  Sink sink = sink_of(config);
  REQUIRE(sink.check_start());
  REQUIRE(sink.finish());
  CHECK(test::unzstd(read_file(folder.path("out.zst"))).empty());
}

TEST_CASE("a commit makes all open outputs decodable and says how many bytes that was") {
  Folder folder;
  config::Sink config = sink_config(folder.path("{stem}"));
  config.compression = config::Compression::kGzip;
  Sink sink = sink_of(config);
  REQUIRE(sink.check_start());
  REQUIRE(sink.source_opened(1, "/in/a"));
  REQUIRE(sink.source_opened(2, "/in/b"));
  REQUIRE(sink.write(1, "a\n"));
  REQUIRE(sink.write(2, "bb\n"));
  CHECK(*sink.commit() == 5);
  CHECK(sink.uncommitted_bytes() == 0);
  CHECK(*sink.commit() == 0);
  CHECK(test::ungzip(read_file(folder.path(".a.leat-tmp"))) == "a\n");
  CHECK(test::ungzip(read_file(folder.path(".b.leat-tmp"))) == "bb\n");
}

TEST_CASE("abandoning removes what is unfinished and keeps what is published") {
  Folder folder;
  Sink sink = sink_of(sink_config(folder.path("{stem}")));
  REQUIRE(sink.check_start());
  REQUIRE(sink.source_opened(1, "/in/a"));
  REQUIRE(sink.source_ended(1));
  REQUIRE(sink.source_opened(2, "/in/b"));
  REQUIRE(sink.write(2, "b\n"));
  REQUIRE(sink.commit());
  CHECK(folder.names().size() == 2);
  sink.abandon();
  CHECK(folder.names() == Names{"a"});
}

TEST_CASE("the record that would pass rotate.bytes goes into the next file; one that just fits does not") {
  Rotating with(8);
  Sink sink = sink_of(with.config);
  REQUIRE(sink.check_start());
  for (const char* record : {"111\n", "222\n", "333\n", "44444\n", "5\n"}) REQUIRE(sink.write(1, record));
  REQUIRE(sink.finish());
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
  REQUIRE(a.check_start());
  REQUIRE(b.check_start());
  REQUIRE(a.write(1, text));
  for (std::size_t at = 0; at < text.size();) {
    std::size_t end = text.find('\n', at) + 1;
    REQUIRE(b.write(1, std::string_view(text).substr(at, end - at)));
    at = end;
  }
  REQUIRE(a.finish());
  REQUIRE(b.finish());
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
  REQUIRE(sink.check_start());
  REQUIRE(sink.write(1, "1\nvery long indeed\nalso too long\n2\n"));
  REQUIRE(sink.finish());
  CHECK(with.folder.names() == Names{"000001", "000002", "000003", "000004"});
  CHECK(read_file(with.folder.path("000002")) == "very long indeed\n");
  CHECK(read_file(with.folder.path("000004")) == "2\n");
}

TEST_CASE("each source counts its own {n}") {
  Folder folder;
  config::Sink config = sink_config(folder.path("{stem}-{n}"));
  config.rotate.bytes = 2;
  Sink sink = sink_of(config);
  REQUIRE(sink.check_start());
  REQUIRE(sink.source_opened(1, "/in/a"));
  REQUIRE(sink.write(1, "1\n2\n"));
  REQUIRE(sink.source_ended(1));
  REQUIRE(sink.source_opened(2, "/in/b"));
  REQUIRE(sink.source_ended(2));
  CHECK(folder.names() == Names{"a-000001", "a-000002", "b-000001"});
}

TEST_CASE("an idle output is published, and the next record opens the next number") {
  Rotating with(0, 60s);
  Sink sink = sink_of(with.config);
  REQUIRE(sink.check_start());
  REQUIRE(sink.write(1, "1\n"));
  REQUIRE(sink.tick(kStart));
  REQUIRE(sink.tick(kStart + 59s));
  CHECK_FALSE(test::exists(with.folder.path("000001")));
  REQUIRE(sink.tick(kStart + 60s));
  CHECK(with.folder.names() == Names{"000001"});
  CHECK(sink.open_outputs() == 0);
  REQUIRE(sink.write(1, "2\n"));
  REQUIRE(sink.finish());
  CHECK(with.folder.names() == Names{"000001", "000002"});
}

TEST_CASE("a write starts the idle time anew") {
  Rotating with(0, 60s);
  Sink sink = sink_of(with.config);
  REQUIRE(sink.check_start());
  REQUIRE(sink.write(1, "1\n"));
  REQUIRE(sink.tick(kStart));
  REQUIRE(sink.write(1, "2\n"));
  REQUIRE(sink.tick(kStart + 50s));
  REQUIRE(sink.tick(kStart + 100s));
  CHECK(sink.open_outputs() == 1);
  REQUIRE(sink.tick(kStart + 110s));
  CHECK(read_file(with.folder.path("000001")) == "1\n2\n");
}

TEST_CASE("an output without records is never idle, and finishing after an idle close adds no empty file") {
  Rotating with(0, 60s);
  Sink sink = sink_of(with.config);
  REQUIRE(sink.check_start());
  REQUIRE(sink.tick(kStart));
  REQUIRE(sink.tick(kStart + 1h));
  CHECK(sink.open_outputs() == 1);
  REQUIRE(sink.write(1, "1\n"));
  REQUIRE(sink.tick(kStart + 2h));
  REQUIRE(sink.tick(kStart + 3h));
  REQUIRE(sink.finish());
  CHECK(with.folder.names() == Names{"000001"});
}

TEST_CASE("a number that is taken stops the rotation") {
  Rotating with(2);
  test::write_file(with.folder.path("000002"), "theirs");
  Sink sink = sink_of(with.config);
  REQUIRE(sink.check_start());
  CHECK_FALSE(sink.write(1, "1\n2\n"));
  sink.abandon();
  CHECK(with.folder.names() == Names{"000001", "000002"});
  CHECK(read_file(with.folder.path("000002")) == "theirs");
}
