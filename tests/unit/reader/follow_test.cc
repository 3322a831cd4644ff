// Following: files come, grow, move and change between polls.
#include <doctest/doctest.h>

#include <filesystem>
#include <fstream>
#include <string>

#include "tests/unit/reader/files.h"
#include "tests/unit/reader/ledger_of.h"

using namespace leat;
using namespace leat::reader;
using namespace leat::reader::test;

namespace {

void append(const std::string& path, const std::string& bytes) {
  std::ofstream(path, std::ios::app | std::ios::binary) << bytes;
}

ReadAhead::Options following(const TempFolder& folder, bool growing = false) {
  ReadAhead::Options given = options(folder / "*");
  given.follow = true;
  given.source.settle = 10ms;  // a write shows in two steps: time, then size
  given.source.growing = growing;
  return given;
}

// A reader that follows, and its ledger. commits: at once, or never.
class Follower {
 public:
  explicit Follower(ReadAhead::Options given, bool commits = true)
      : commits_(commits), ahead_(with_ledger(std::move(given), rows_)) {
    CHECK(std::holds_alternative<Listed>(test::wait(ahead_)));
  }
  std::string next() {
    event_ = test::wait(ahead_);
    if (commits_) {
      rows_->commit(event_);
      if (const auto* ended = std::get_if<SourceEnded>(&event_)) ahead_.committed(ended->id);
      if (const auto* failed = std::get_if<SourceFailed>(&event_)) ahead_.committed(failed->id);
      if (const auto* changed = std::get_if<SourceChanged>(&event_)) ahead_.committed(changed->id);
    }
    return text(event_);
  }
  const Event& event() const { return event_; }
  ReadAhead& ahead() { return ahead_; }
  Rows& rows() { return *rows_; }

 private:
  bool commits_;
  std::shared_ptr<Rows> rows_ = std::make_shared<Rows>();
  ReadAhead ahead_;
  Event event_;
};

}  // namespace

TEST_CASE("following, a file that grew after its end was read continues there, committed or not") {
  for (const bool commits : {true, false}) {
    TempFolder folder;
    const std::string path = folder.write("a", "1\n");
    Follower follower(following(folder), commits);
    CHECK(follower.next() == "opened 1 a");
    CHECK(follower.next() == "chunk 1 1\n");
    CHECK(follower.next() == "ended 1 at 2 2");
    for (int line = 2; line < 5; ++line) {
      append(path, "x\n");
      CHECK(follower.next() == "opened 1 a");
      CHECK(follower.next() == "chunk 1 x\n");
      CHECK(follower.next() == fmt::format("ended 1 at {} {}", line + 1, line * 2));
    }
  }
}

TEST_CASE("following, a file that is truncated, edited or replaced is told once, and others continue") {
  TempFolder folder;
  const std::string path = folder.write("a", "1\n2\n3\n");
  Follower follower(following(folder));
  CHECK(follower.next() == "opened 1 a");
  CHECK(follower.next() == "chunk 1 1\n2\n3\n");
  CHECK(follower.next() == "ended 1 at 4 6");
  SUBCASE("truncated") {
    std::filesystem::resize_file(path, 4);
  }
  SUBCASE("edited") {
    std::filesystem::rename(folder.write(".new", "1\nx\n3\n4\n"), path);
  }
  SUBCASE("replaced") {
    std::filesystem::rename(folder.write(".new", "another, longer\n"), path);
  }
  CHECK(follower.next() == "changed 1");
  append(path, "more\n");
  folder.write("b", "b\n");
  CHECK(follower.next() == "opened 2 b");
  CHECK(follower.next() == "chunk 2 b\n");
  CHECK(follower.next() == "ended 2 at 2 2");
}

TEST_CASE("following, a file that got another name is not read again") {
  TempFolder folder;
  const std::string path = folder.write("a", "1\n");
  Follower follower(following(folder));
  for (int i = 0; i < 3; ++i) follower.next();
  std::filesystem::rename(path, folder / "b");
  CHECK(follower.next() == "moved 1");
  append(folder / "b", "2\n");
  CHECK(follower.next() == "opened 1 b");
  CHECK(follower.next() == "chunk 1 2\n");
  CHECK(follower.next() == "ended 1 at 3 4");
}

TEST_CASE("following, what is done is not opened again") {
  TempFolder folder;
  folder.write("a", "1\n");
  ReadAhead::Options given = following(folder);
  auto opens = std::make_shared<std::atomic<int>>(0);
  auto decoders = std::make_shared<Decoders>(config::kMiB);
  given.open = [opens, decoders](const std::string& path, const Position& from) {
    *opens += 1;
    return decoders->open(path, config::Compression::kAuto, from);
  };
  Follower follower(std::move(given));
  for (int i = 0; i < 3; ++i) follower.next();
  for (const char* name : {"b", "c", "d"}) {
    folder.write(".part", "x\n");
    std::filesystem::rename(folder / ".part", folder / name);
    for (int i = 0; i < 3; ++i) follower.next();
  }
  CHECK(*opens == 4);
}

TEST_CASE("following, NUL bytes at the end are told once and checked again when the file has changed") {
  TempFolder folder;
  const std::string path = folder.write("a", std::string("1\n\0\0", 4));
  Follower follower(following(folder));
  CHECK(follower.next() == "opened 1 a");
  CHECK(follower.next() == "chunk 1 1\n");
  CHECK(follower.next() == "failed 1 at 2, again");
  std::filesystem::rename(folder.write(".new", "1\n2\n"), path);
  std::filesystem::last_write_time(path, std::filesystem::last_write_time(path) + 1h);
  CHECK(follower.next() == "opened 1 a");
  CHECK(follower.next() == "chunk 1 2\n");
  CHECK(follower.next() == "ended 1 at 3 4");
}

TEST_CASE("growing files are read as they grow, side by side, and stay open") {
  TempFolder folder;
  const std::string a = folder.write("a", "1\n2");
  const std::string b = folder.write("b", "x\n");
  Follower follower(following(folder, true));
  CHECK(follower.next() == "opened 1 a");
  CHECK(follower.next() == "chunk 1 1\n");
  CHECK(follower.next() == "opened 2 b");
  CHECK(follower.next() == "chunk 2 x\n");
  append(a, "2\n3");
  CHECK(follower.next() == "chunk 1 22\n");
  append(b, "y\n");
  CHECK(follower.next() == "chunk 2 y\n");
  append(a, "3\n");
  CHECK(follower.next() == "chunk 1 33\n");
  const auto& chunk = std::get<SourceChunk>(follower.event()).chunk;
  CHECK(chunk.first_line == 3);
  CHECK(chunk.after() == Position{4, 8, {}, mark_of("1\n22\n33\n")});
  SUBCASE("truncated") {
    std::filesystem::resize_file(a, 4);
    CHECK(follower.next() == "changed 1");
  }
  SUBCASE("edited") {
    std::filesystem::rename(folder.write(".new", "1\n22\nxx\n4\n"), a);
    CHECK(follower.next() == "changed 1");
  }
  SUBCASE("written to and the same") {
    std::filesystem::last_write_time(a, std::filesystem::last_write_time(a) + 1h);
  }
  append(b, "z\n");
  CHECK(follower.next() == "chunk 2 z\n");
}

TEST_CASE("a growing compressed file is read as its frames come") {
  TempFolder folder;
  const std::string frame = test::zstd("2\n", false, 0, true);
  const std::string path = folder.write("a.zst", test::zstd("1\n") + frame.substr(0, 6));
  Follower follower(following(folder, true));
  CHECK(follower.next() == "opened 1 a.zst");
  CHECK(follower.next() == "chunk 1 1\n");
  append(path, frame.substr(6));
  CHECK(follower.next() == "chunk 1 2\n");
  append(path, test::zstd("3\n"));
  CHECK(follower.next() == "chunk 1 3\n");
}

TEST_CASE("a plain run takes of growing files what is there, and leaves a last line without its newline") {
  TempFolder folder;
  const std::string path = folder.write("a", "1\n2");
  auto rows = std::make_shared<Rows>();
  ReadAhead::Options given = options(folder / "*");
  given.source.growing = true;
  CHECK(run(given, rows) == Texts{"opened 1 a", "chunk 1 1\n", "note"});
  CHECK(rows->row(1).state == SourceState::kReading);
  append(path, "2\n");
  CHECK(run(given, rows) == Texts{"opened 1 a", "chunk 1 22\n", "ended 1 at 3 5"});
  append(path, "3\n");
  CHECK(run(given, rows) == Texts{"opened 1 a", "chunk 1 3\n", "ended 1 at 4 7"});
}

TEST_CASE("what a growing reader left is continued by another") {
  TempFolder folder;
  const std::string path = folder.write("a", "1\n2");
  auto rows = std::make_shared<Rows>();
  {
    ReadAhead ahead(with_ledger(following(folder, true), rows));
    for (int i = 0; i < 3; ++i) rows->commit(wait(ahead));
  }
  append(path, "2\n");
  ReadAhead ahead(with_ledger(following(folder, true), rows));
  CHECK(wait_text(ahead) == "listed 1 5");
  CHECK(wait_text(ahead) == "opened 1 a");
  CHECK(wait_text(ahead) == "chunk 1 22\n");
}
