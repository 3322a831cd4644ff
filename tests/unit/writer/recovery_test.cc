// What a writer finds when the one before was killed, window by window.
#include "workers/writer/recovery.h"

#include <doctest/doctest.h>

#include <filesystem>
#include <memory>

#include "tests/unit/writer/desk.h"

using namespace leat;
using ledger::OutputState;
using test::Desk;
using test::read_file;
using writer::Sink;
using Names = std::vector<std::string>;

namespace {

Sink sink_of(const std::string& path, bool force = false) {
  config::Sink config;
  config.path = path;
  return Sink(config, {"/in/**/*.jsonl"}, force);
}

// A writer of one output for all sources that has written "one\n".
std::unique_ptr<Sink> begun(Desk& desk, const std::string& path) {
  auto sink = std::make_unique<Sink>(sink_of(path));
  REQUIRE(sink->start(desk.ledger->view(), false));
  REQUIRE(sink->source_opened(1, "/in/a", true));
  REQUIRE(sink->write(1, "one\n"));
  return sink;
}

// The next writer: writes more, and finishes.
void go_on(Desk& desk, const std::string& path, const std::string& more) {
  desk.restart();
  Sink sink = sink_of(path);
  REQUIRE(sink.start(desk.ledger->view(), true));
  REQUIRE(desk.commit(sink));
  if (!more.empty()) {
    REQUIRE(sink.source_opened(1, "/in/a", false));
    REQUIRE(sink.write(1, more));
    REQUIRE(sink.source_ended(1));
  }
  REQUIRE(desk.finish(sink));
  CHECK(desk.unfinished().empty());
}

}  // namespace

TEST_CASE("killed before the first commit: the temporary counts for nothing") {
  Desk desk;
  test::write_file(desk.path(".out.leat-tmp"), "one\n");  // what a killed writer left: nobody has it locked
  go_on(desk, desk.path("out"), "one\ntwo\n");
  CHECK(read_file(desk.path("out")) == "one\ntwo\n");
}

TEST_CASE("killed between the sync and the transaction: what was not committed is cut off and comes again") {
  Desk desk;
  auto sink = begun(desk, desk.path("out"));
  REQUIRE(desk.commit(*sink));
  REQUIRE(sink->write(1, "two\n"));
  ledger::Commit lost;
  REQUIRE(sink->prepare(lost));
  sink.reset();
  CHECK(read_file(desk.path(".out.leat-tmp")) == "one\ntwo\n");
  go_on(desk, desk.path("out"), "two\n");
  CHECK(read_file(desk.path("out")) == "one\ntwo\n");
}

TEST_CASE("killed between the first sync and its transaction: the output is begun again") {
  Desk desk;
  auto sink = begun(desk, desk.path("out"));
  ledger::Commit lost;
  REQUIRE(sink->prepare(lost));
  sink.reset();
  CHECK(test::exists(desk.path(".out.leat-tmp")));  // the transaction may have gone through, for all it knows
  go_on(desk, desk.path("out"), "one\ntwo\n");
  CHECK(read_file(desk.path("out")) == "one\ntwo\n");
}

TEST_CASE("killed while an output is cut back: it is cut again") {
  Desk desk;
  auto sink = begun(desk, desk.path("out"));
  REQUIRE(desk.commit(*sink));
  sink.reset();
  for (const char* left : {"one\nhalf of wh", "one\n"}) {
    test::write_file(desk.path(".out.leat-tmp"), left);
    desk.restart();
    Sink dying = sink_of(desk.path("out"));
    REQUIRE(dying.start(desk.ledger->view(), true));
  }
  go_on(desk, desk.path("out"), "two\n");
  CHECK(read_file(desk.path("out")) == "one\ntwo\n");
}

TEST_CASE("killed between complete and the rename: the rename is done again") {
  Desk desk;
  auto sink = begun(desk, desk.path("out"));
  REQUIRE(sink->finish());
  desk.commit_only(*sink);
  sink.reset();
  REQUIRE(desk.unfinished()[0].state == OutputState::kComplete);
  CHECK(desk.folder.names() == Names{".out.leat-tmp"});
  go_on(desk, desk.path("out"), "");
  CHECK(read_file(desk.path("out")) == "one\n");
}

TEST_CASE("killed in a rename made of link and unlink: it is seen as done") {
  Desk desk;
  auto sink = begun(desk, desk.path("out"));
  REQUIRE(sink->finish());
  desk.commit_only(*sink);
  sink.reset();
  std::filesystem::create_hard_link(desk.path(".out.leat-tmp"), desk.path("out"));
  go_on(desk, desk.path("out"), "");
  CHECK(desk.folder.names() == Names{"out"});
}

TEST_CASE("killed between the rename and published: the target is known by its length") {
  Desk desk;
  auto sink = begun(desk, desk.path("out"));
  REQUIRE(sink->finish());
  REQUIRE(desk.commit(*sink));
  sink.reset();
  REQUIRE(desk.unfinished()[0].state == OutputState::kComplete);
  CHECK(desk.folder.names() == Names{"out"});
  go_on(desk, desk.path("out"), "");
  CHECK(desk.ledger->view().output_at(desk.path("out")).value()->state == OutputState::kPublished);
}

TEST_CASE(
    "the power failed before the folder was synced: the temporary is there again, and is renamed again") {
  Desk desk;
  auto sink = begun(desk, desk.path("out"));
  REQUIRE(sink->finish());
  REQUIRE(desk.commit(*sink));
  sink.reset();
  std::filesystem::rename(desk.path("out"), desk.path(".out.leat-tmp"));
  go_on(desk, desk.path("out"), "");
  CHECK(desk.folder.names() == Names{"out"});
}

TEST_CASE(
    "a complete output that has gone, or that another has replaced, needs a person; --force continues") {
  Desk desk;
  auto sink = begun(desk, desk.path("out"));
  REQUIRE(sink->finish());
  REQUIRE(desk.commit(*sink));
  sink.reset();
  for (const char* now : {"", "another length"}) {
    std::filesystem::remove(desk.path("out"));
    if (*now != '\0') test::write_file(desk.path("out"), now);
    auto started = sink_of(desk.path("out")).start(desk.ledger->view(), true);
    REQUIRE_FALSE(started);
    CHECK(started.error().fault == Fault::kFatal);
    CHECK(started.error().exit_code == kExitIo);
    CHECK(started.error().text.find(desk.path("out")) != std::string::npos);
    CHECK(started.error().text.find(".out.leat-tmp has gone") != std::string::npos);
  }
  Sink forced = sink_of(desk.path("out"), true);
  REQUIRE(forced.start(desk.ledger->view(), true));
  CHECK(forced.take_notes().size() == 1);
  REQUIRE(desk.commit(forced));
  CHECK(desk.unfinished().empty());
}

TEST_CASE("a target that came into being between complete and the rename is not replaced") {
  Desk desk;
  auto sink = begun(desk, desk.path("out"));
  REQUIRE(sink->finish());
  desk.commit_only(*sink);
  sink.reset();
  test::write_file(desk.path("out"), "theirs");
  Sink next = sink_of(desk.path("out"));
  REQUIRE(next.start(desk.ledger->view(), true));
  CHECK_FALSE(desk.commit(next));
  CHECK(read_file(desk.path("out")) == "theirs");
  CHECK(test::exists(desk.path(".out.leat-tmp")));
}

TEST_CASE("an unfinished output that is shorter than committed is found at the start, whosever it is") {
  for (const char* path : {"out", "{stem}"}) {
    Desk desk;
    auto sink = begun(desk, desk.path(path));
    REQUIRE(desk.commit(*sink));
    std::string temporary = desk.unfinished()[0].temporary;
    sink.reset();
    desk.add_source(1, "/in/a");
    test::write_file(temporary, "on");
    auto started = sink_of(desk.path(path)).start(desk.ledger->view(), true);
    REQUIRE_FALSE(started);
    CHECK(started.error().exit_code == kExitIo);
    CHECK(started.error().text.find("shorter than what was committed") != std::string::npos);
  }
}

TEST_CASE("an output of a source that starts over holds nothing that counts, whenever its writer dies") {
  Desk desk;
  auto sink = begun(desk, desk.path("{stem}"));
  REQUIRE(desk.commit(*sink));
  sink.reset();
  desk.add_source(1, "/in/a", 0);  // as `--reread` leaves it
  for (int killed = 0; killed < 2; ++killed) {
    desk.restart();
    Sink dying = sink_of(desk.path("{stem}"));
    REQUIRE(dying.start(desk.ledger->view(), true));
    CHECK(read_file(desk.path(".a.leat-tmp")) == "one\n");  // not before the ledger knows
  }
  desk.restart();
  Sink next = sink_of(desk.path("{stem}"));
  REQUIRE(next.start(desk.ledger->view(), true));
  REQUIRE(desk.commit(next));
  CHECK(desk.unfinished()[0].length == 0);
  REQUIRE(next.source_opened(1, "/in/a", true));
  REQUIRE(next.write(1, "new\n"));
  REQUIRE(next.source_ended(1));
  REQUIRE(desk.finish(next));
  CHECK(read_file(desk.path("a")) == "new\n");
}

TEST_CASE("rotation continues as if nothing had been, after a kill in the middle of it") {
  Desk desk;
  config::Sink config;
  config.path = desk.path("{n}");
  config.rotate.bytes = 8;
  auto sink = std::make_unique<Sink>(config, std::vector<std::string>{}, false);
  REQUIRE(sink->start(desk.ledger->view(), false));
  REQUIRE(sink->write(1, "1.1\n"));
  REQUIRE(desk.commit(*sink));
  REQUIRE(sink->write(1, "1.2\n2.1\n2.2\n3.1\n"));  // not committed
  sink.reset();
  test::write_file(desk.path(".000002.leat-tmp"), "2.1\n");
  desk.restart();
  Sink next(config, {}, false);
  REQUIRE(next.start(desk.ledger->view(), true));
  REQUIRE(next.write(1, "1.2\n2.1\n2.2\n3.1\n"));
  REQUIRE(desk.finish(next));
  CHECK(desk.folder.names() == Names{"000001", "000002", "000003"});
  CHECK(read_file(desk.path("000001")) == "1.1\n1.2\n");
  CHECK(read_file(desk.path("000002")) == "2.1\n2.2\n");
  CHECK(read_file(desk.path("000003")) == "3.1\n");
}

TEST_CASE("under another sink path what was unfinished becomes an output as it is, and an empty one goes") {
  Desk desk;
  auto sink = begun(desk, desk.path("old"));
  REQUIRE(desk.commit(*sink));
  sink.reset();
  go_on(desk, desk.path("new"), "two\n");
  CHECK(desk.folder.names() == Names{"new", "old"});
  CHECK(read_file(desk.path("old")) == "one\n");
  CHECK(read_file(desk.path("new")) == "two\n");

  Desk empty;
  auto nothing = std::make_unique<Sink>(sink_of(empty.path("old")));
  REQUIRE(nothing->start(empty.ledger->view(), false));
  REQUIRE(nothing->source_opened(1, "/in/a", true));
  REQUIRE(empty.commit(*nothing));
  nothing.reset();
  go_on(empty, empty.path("new"), "two\n");
  CHECK(empty.folder.names() == Names{"new"});
}

TEST_CASE("a start that has to be tried again leaves nothing open behind") {
  Desk desk;
  auto sink = begun(desk, desk.path("out"));
  REQUIRE(desk.commit(*sink));
  Sink next = sink_of(desk.path("out"));
  auto waiting = next.start(desk.ledger->view(), true);  // the old writer is not dead yet
  REQUIRE_FALSE(waiting);
  CHECK(waiting.error().fault == Fault::kRetry);
  sink.reset();
  REQUIRE(next.start(desk.ledger->view(), true));
  REQUIRE(next.write(1, "two\n"));
  REQUIRE(desk.finish(next));
  CHECK(read_file(desk.path("out")) == "one\ntwo\n");
}
