// source.after: what becomes of a source when it is done and durable.
#include "workers/reader/finisher.h"

#include <doctest/doctest.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>

#include "tests/unit/reader/files.h"
#include "tests/unit/reader/ledger_of.h"

using namespace leat;
using namespace leat::reader;
using namespace leat::reader::test;

namespace {

std::string content(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::stringstream text;
  text << file.rdbuf();
  return file ? text.str() : "none";
}

ReadAhead::Options ending(const TempFolder& folder, const std::string& after) {
  ReadAhead::Options given = options(folder / "in/*");
  given.source.after = after;
  return given;
}

// What was said of sources: the end of the input may come before or behind what became of a source.
Texts of_sources(Texts texts) {
  std::erase(texts, "read");
  return texts;
}

}  // namespace

TEST_CASE("a source that is done is deleted, or moved, once it is committed") {
  TempFolder folder;
  auto rows = std::make_shared<Rows>();
  folder.write("in/a", "1\n");
  SUBCASE("deleted") {
    CHECK(of_sources(run(ending(folder, "delete"), rows)) ==
          Texts{"opened 1 a", "chunk 1 1\n", "ended 1 at 2 2", "finished 1 delete"});
  }
  SUBCASE("moved") {
    CHECK(of_sources(run(ending(folder, "move:" + folder.folder("out")), rows)) ==
          Texts{"opened 1 a", "chunk 1 1\n", "ended 1 at 2 2", "finished 1 move"});
    CHECK(content(folder / "out/a") == "1\n");
  }
  CHECK(content(folder / "in/a") == "none");
  CHECK(rows->row(1).after_done);
  // Another file of that name is another source, as far as content goes.
  folder.write("in/a", "22\n");
  CHECK(run(ending(folder, ""), rows) == Texts{"opened 1 a", "chunk 1 22\n", "ended 1 at 2 3"});
}

TEST_CASE("nothing is deleted before the output that has it is published: the next run does it") {
  TempFolder folder;
  auto rows = std::make_shared<Rows>();
  folder.write("in/a", "1\n");
  {
    ReadAhead::Options given = ending(folder, "delete");
    given.commit_patience = 1ms;
    rows->oldest_unfinished = 7;
    ReadAhead ahead(with_ledger(std::move(given), rows));
    Event event = wait(ahead);
    Texts events;
    for (; !std::holds_alternative<End>(event); event = wait(ahead)) {
      rows->commit(event);
      events.push_back(text(event));
    }
    CHECK(events.back() == "note");
  }
  CHECK(content(folder / "in/a") == "1\n");
  CHECK(run(ending(folder, "delete"), rows) == Texts{"read"});
  CHECK(content(folder / "in/a") == "1\n");
  rows->oldest_unfinished = 8;  // its place is the next one's now
  CHECK(run(ending(folder, "delete"), rows) == Texts{"finished 1 delete", "read"});
  CHECK(content(folder / "in/a") == "none");
  CHECK(run(ending(folder, "delete"), rows) == Texts{"read"});
}

TEST_CASE("a source whose dead letters refer to it stays") {
  TempFolder folder;
  auto rows = std::make_shared<Rows>();
  folder.write("in/a", "1\n");
  ReadAhead ahead(with_ledger(ending(folder, "delete"), rows));
  rows->after = "";  // the writer does not ask for it
  Event event = wait(ahead);
  for (; !std::holds_alternative<End>(event); event = wait(ahead)) {
    rows->commit(event);
    CHECK_FALSE(std::holds_alternative<SourceFinished>(event));
    if (std::holds_alternative<SourceEnded>(event)) ahead.committed(1);
    if (std::holds_alternative<InputRead>(event)) ahead.committed(0);
  }
  CHECK(content(folder / "in/a") == "1\n");
}

TEST_CASE("what cannot be finished is told, stays, and is tried again") {
  TempFolder folder;
  auto rows = std::make_shared<Rows>();
  const std::string path = folder.write("in/a", "1\n");
  rows->after = "";
  run(ending(folder, ""), rows);
  ledger::Source& row = rows->row(1);
  std::string why;
  SUBCASE("something is in the way") {
    row.after = "move:" + folder.folder("out");
    folder.write("out/a", "other\n");
    why = " was not moved: " + (folder / "out/a") + " exists already; move one of them away";
  }
  SUBCASE("no folder") {
    row.after = "move:" + (folder / "out");
    why = " was not moved: there is no folder " + (folder / "out") + "; make it";
  }
  SUBCASE("it has changed") {
    row.after = "delete";
    folder.write("in/a", "22\n");
    why = " was not deleted: it has changed since it was read";
  }
  SUBCASE("the same size and time, another head") {
    row.after = "delete";
    const auto time = std::filesystem::last_write_time(path);
    folder.write("in/a", "2\n");
    std::filesystem::last_write_time(path, time);
    why = " was not deleted: it has changed since it was read";
  }
  SUBCASE("its folder is not there: perhaps the mount is away") {
    row.after = "delete";
    std::filesystem::rename(folder / "in", folder / "away");
    why = " was not deleted: its folder is not there";
  }
  for (int i = 0; i < 2; ++i) {
    const Result<SourceFinished> finished = finish_source(row);
    REQUIRE(finished);
    CHECK(finished->reason == path + why);
    CHECK(finished->to.empty());
  }
  if (content(folder / "out/a") != "none") CHECK(content(folder / "out/a") == "other\n");
}

TEST_CASE("what is done but can never be made durable is told, and not taken for done") {
  TempFolder folder;
  auto rows = std::make_shared<Rows>();
  const std::string path = folder.write("in/a", "1\n");
  rows->after = "";
  run(ending(folder, ""), rows);
  rows->row(1).after = "delete";
  ::chmod((folder / "").c_str(), 0755);
  ::chmod((folder / "in").c_str(), 0333);
  for (int i = 0; i < 2; ++i) {  // the second time it has gone already
    const Unprivileged while_here;
    const Result<SourceFinished> finished = finish_source(rows->row(1));
    REQUIRE(finished);
    CHECK(finished->reason.starts_with(path +
                                       " was deleted, which a power cut may undo: cannot open the folder " +
                                       (folder / "in") + ": Permission denied"));
  }
  ::chmod((folder / "in").c_str(), 0755);
  CHECK(content(path) == "none");
  CHECK(finish_source(rows->row(1))->reason.empty());
}

TEST_CASE("another file system is refused") {
  TempFolder folder;
  if (std::filesystem::status("/dev/shm").type() != std::filesystem::file_type::directory) return;
  struct stat here;
  struct stat there;
  REQUIRE(::stat((folder / "").c_str(), &here) == 0);
  REQUIRE(::stat("/dev/shm", &there) == 0);
  if (here.st_dev == there.st_dev) return;
  auto rows = std::make_shared<Rows>();
  folder.write("in/a", "1\n");
  run(ending(folder, ""), rows);
  rows->row(1).after = "move:/dev/shm";
  const Result<SourceFinished> finished = finish_source(rows->row(1));
  REQUIRE(finished);
  CHECK(finished->reason.find("/dev/shm is on another file system") != std::string::npos);
  CHECK(content(folder / "in/a") == "1\n");
}

TEST_CASE("after a death in the middle what was done is found done") {
  TempFolder folder;
  auto rows = std::make_shared<Rows>();
  const std::string path = folder.write("in/a", "1\n");
  run(ending(folder, ""), rows);
  ledger::Source& row = rows->row(1);
  SUBCASE("moved") {
    row.after = "move:" + folder.folder("out");
    std::filesystem::rename(path, folder / "out/a");
    CHECK(finish_source(row)->to == folder / "out/a");
    CHECK(finish_source(row)->reason.empty());
  }
  SUBCASE("deleted") {
    row.after = "delete";
    std::filesystem::remove(path);
    CHECK(finish_source(row)->reason.empty());
  }
}
