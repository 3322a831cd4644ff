#include "workers/writer/begin.h"

#include <doctest/doctest.h>

#include <filesystem>

#include "tests/unit/writer/writer.h"

using namespace leat;
using test::kA;
using test::kB;
using test::Script;
using test::Writer;
using Names = std::vector<std::string>;

TEST_CASE(
    "--fresh forgets everything and removes what was unfinished; with published outputs in the way, "
    "nothing") {
  Writer writer("{stem}");
  writer.start();
  writer.run({kA});
  writer.start({.run = "two"});
  Script script(writer.epoch);
  writer.apply(script.opened(2, kB));
  writer.apply(script.records(2, kB, 1, 6));
  writer.commit();
  std::string text = writer.start_error({.run = "three", .fresh = true}, kExitConfig);
  CHECK(text.find("--fresh --force") != std::string::npos);
  CHECK(writer.folder.names() == Names{".b.leat-tmp", "a", "dead"});
  CHECK(writer.ledger->view().source_at(kA.path).value());
  writer.start({.run = "four", .force = true, .fresh = true});
  CHECK(writer.folder.names() == Names{"a", "dead"});
  CHECK_FALSE(writer.ledger->view().source_at(kA.path).value());
  writer.run({kA, kB});
  CHECK(writer.out("a") == kA.kept());
  CHECK(writer.out("b") == kB.kept());
}

TEST_CASE("where the dead-letter file or the sink's folder is refused, --fresh has forgotten nothing") {
  Writer writer("out/{stem}");
  std::filesystem::create_directory(writer.folder.path("out"));
  writer.start();
  writer.run({kA});
  const std::string dead = writer.folder.path("dead");
  const std::string letters = test::read_file(dead);
  int code = kExitConfig;
  SUBCASE("a link among others' files") {
    std::filesystem::permissions(writer.folder.root(), std::filesystem::perms::all);
    std::filesystem::rename(dead, dead + "-there");
    std::filesystem::create_symlink(dead + "-there", dead);
  }
  SUBCASE("a link that leads nowhere") {
    std::filesystem::permissions(writer.folder.root(), std::filesystem::perms::all);
    std::filesystem::remove(dead);
    std::filesystem::create_symlink(dead + "-there", dead);
  }
  SUBCASE("another's half a line") {
    test::write_file(dead, letters + "mine");
  }
  SUBCASE("a folder that is not there") {
    writer.pipeline.dead_letter_path = writer.folder.path("nowhere/dead");
  }
  SUBCASE("a folder") {
    std::filesystem::remove(dead);
    std::filesystem::create_directory(dead);
    code = kExitIo;
  }
  SUBCASE("the sink's folder has gone") {
    std::filesystem::rename(writer.folder.path("out"), writer.folder.path("elsewhere"));
  }
  writer.start_error({.run = "two", .force = true, .fresh = true}, code);
  CHECK(writer.ledger->view().source_at(kA.path).value());
  CHECK_FALSE(writer.ledger->view().run("two").value());
}

TEST_CASE("what is asked for once a run is done once, however often its writer is started") {
  Writer writer("out");
  writer.start({.run = "one", .fresh = true});
  Script script(writer.epoch);
  writer.apply(script.opened(1, kA));
  writer.apply(script.records(1, kA, 1, 6));
  writer.commit();
  writer.start({.run = "one", .fresh = true});
  CHECK(writer.source(kA).place.lines == 6);
  writer.run({kA});
  CHECK(writer.out("out") == kA.kept());
}

TEST_CASE("--reread starts a source over, and its own output is replaced") {
  Writer writer("{stem}");
  writer.start();
  writer.run({kA, kB});
  std::string text = writer.start_error({.run = "two", .reread = {"/in/other"}}, kExitUsage);
  CHECK(text.find("/in/other") != std::string::npos);
  CHECK(text.find("leat sources") != std::string::npos);
  CHECK_FALSE(writer.ledger->view().run("two").value());  // so that it can be asked for again
  test::write_file(writer.folder.path("a"), "old");
  writer.start({.run = "two", .reread = {kA.path}});
  auto summary = writer.run({kA, kB});
  CHECK(summary["in"].GetUint64() == 20);
  CHECK(summary["sources"]["done_before"].GetUint64() == 1);
  CHECK(writer.out("a") == kA.kept());
  CHECK(writer.out("b") == kB.kept());
}

TEST_CASE("another filter in the middle of a source is refused, or accepted, or starts over") {
  Writer writer("out");
  writer.start({.run = "one", .fingerprint = 1});
  Script script(writer.epoch);
  writer.apply(script.opened(1, kA));
  writer.commit();
  writer.start({.run = "two", .fingerprint = 2});  // no record is in the output yet
  Script second(writer.epoch);
  writer.apply(second.opened(1, kA));
  writer.apply(second.records(1, kA, 1, 6));
  writer.commit();
  std::string text = writer.start_error({.run = "three", .fingerprint = 3}, kExitConfig);
  CHECK(text.find("--accept-changes") != std::string::npos);
  CHECK(text.find("--fresh") != std::string::npos);
  writer.start({.run = "three", .fingerprint = 2});  // as it was
  writer.start({.run = "four", .accept_changes = true, .fingerprint = 3});
  writer.start({.run = "five", .fingerprint = 3});
  writer.start({.run = "six", .fresh = true, .fingerprint = 4});
  writer.run({kA});
  writer.start({.run = "seven", .fingerprint = 5});  // nothing is half done
}

TEST_CASE("a refused --reread changes nothing") {
  Writer writer("out");
  writer.start();
  writer.run({kA, kB});
  std::string text = writer.start_error({.run = "two", .reread = {kA.path}}, kExitConfig);
  CHECK(text.find(writer.folder.path("out") + " is whole") != std::string::npos);
  CHECK(text.find("--fresh --force") != std::string::npos);
  CHECK(writer.source(kA).place.lines == kA.lines);
  text = writer.start_error({.run = "two", .force = true, .reread = {kA.path, "/in/other"}}, kExitUsage);
  CHECK(writer.source(kA).place.lines == kA.lines);
  CHECK(writer.source(kA).state == ledger::SourceState::kDone);
  CHECK(writer.out("out") == kA.kept() + kB.kept());
}

TEST_CASE("leatd has no --force to be advised of") {
  Writer writer("{stem}");
  test::write_file(writer.folder.path("a"), "of somebody");
  writer.start({.run = "one", .daemon = true});
  auto opened = writer.stage->apply(Script(writer.epoch).opened(1, kA));
  REQUIRE_FALSE(opened);
  CHECK(opened.error().text == writer.folder.path("a") + " exists already; move it away");
}

TEST_CASE("a state that was put back from an older copy is noticed, and not continued") {
  Writer writer("out-{n}");
  writer.pipeline.sink.rotate.bytes = 1 << 20;
  writer.start({.run = "one"});
  Script script(writer.epoch);
  writer.apply(script.opened(1, kA));
  writer.apply(script.records(1, kA, 1, 6));
  writer.apply(script.end_of_input(true));
  writer.finish();
  const std::string file = writer.state.path("ledger.db");
  writer.stage.reset();
  writer.ledger.reset();
  const std::string older = test::read_file(file);
  writer.start({.run = "two"});
  Script second(writer.epoch);
  writer.apply(second.opened(1, kA, 6));
  writer.apply(second.records(1, kA, 7, 12));
  SUBCASE("the output is longer than it knows") {
    writer.commit();
  }
  SUBCASE("there are more outputs than it knows") {
    writer.run({});
    std::filesystem::rename(writer.folder.path("out-000001"), writer.folder.path(".out-000001.leat-tmp"));
    std::filesystem::resize_file(writer.folder.path(".out-000001.leat-tmp"), kA.kept().find(kA.line(7)));
    test::write_file(writer.folder.path("out-000002"), "more");
  }
  writer.stage.reset();
  writer.ledger.reset();
  for (const char* more : {"-wal", "-shm"}) std::filesystem::remove(file + more);
  test::write_file(file, older);
  std::string text = writer.start_error({.run = "three"}, kExitIo);
  CHECK(text.find("put back from an older copy") != std::string::npos);
  CHECK(writer.ledger->view().run("three").value() == std::nullopt);
}
