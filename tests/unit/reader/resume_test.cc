// A run after a run: what is done stays done, what was begun continues where it was, and what is not what it was is told.
#include <doctest/doctest.h>
#include <sys/stat.h>

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

// Another time of modification, whatever the clock does.
void touch(const std::string& path) {
  std::filesystem::last_write_time(path, std::filesystem::last_write_time(path) + 1h);
}

ReadAhead::Options small(const std::string& glob) {
  ReadAhead::Options given = options(glob);
  given.target_bytes = 2;
  return given;
}

std::string reason(const std::shared_ptr<Rows>& rows, std::uint64_t id) {
  return rows->row(id).reason;
}

}  // namespace

TEST_CASE("a second run over the same files has nothing to do") {
  TempFolder folder;
  folder.write("a", "1\n");
  folder.write("b.zst", test::zstd("2\n"));
  auto rows = std::make_shared<Rows>();
  CHECK(run(options(folder / "*"), rows).size() == 6);
  ReadAhead ahead(with_ledger(options(folder / "*"), rows));
  const Event listed = wait(ahead);
  CHECK(std::get<Listed>(listed).files == 0);
  CHECK(std::get<Listed>(listed).done == 2);
  const Event end = wait(ahead);
  CHECK(std::get<End>(end).done == 2);
}

TEST_CASE("a source that was left half read continues where it was, new ones follow") {
  TempFolder folder;
  folder.write("a", "1\n2\n3\n");
  auto rows = std::make_shared<Rows>();
  CHECK(run(small(folder / "*"), rows, 3) == Texts{"opened 1 a", "chunk 1 1\n", "chunk 1 2\n"});
  folder.write("b", "4\n");
  CHECK(run(small(folder / "*"), rows) ==
        Texts{"opened 1 a", "chunk 1 3\n", "ended 1 at 4 6", "opened 2 b", "chunk 2 4\n", "ended 2 at 2 2"});
}

TEST_CASE("compressed sources continue from any place") {
  const std::string raw = test::noise(300'000);
  std::string zst;
  std::string gz;
  for (std::size_t at = 0; at < raw.size(); at += 60'000) {
    zst += test::zstd(raw.substr(at, 60'000));
    gz += test::gzip(raw.substr(at, 60'000));
  }
  for (const auto& [name, bytes] : {std::pair{"a.zst", zst}, std::pair{"a.gz", gz}, std::pair{"a", raw}}) {
    TempFolder folder;
    folder.write(name, bytes);
    auto rows = std::make_shared<Rows>();
    std::string got;
    std::size_t runs = 0;
    for (; runs < 100 && (runs == 0 || rows->row(1).state != SourceState::kDone); ++runs) {
      ReadAhead::Options given = options(folder / "*");
      given.target_bytes = 10'000;
      for (const std::string& event : run(given, rows, 4)) {
        if (event.starts_with("chunk 1 ")) got += event.substr(8);
      }
    }
    CHECK(runs > 5);
    CHECK((got == raw || got == raw + '\n'));
  }
}

TEST_CASE("a source that grew continues behind what was read, done or not") {
  TempFolder folder;
  const std::string path = folder.write("a", "1\n2\n");
  auto rows = std::make_shared<Rows>();
  SUBCASE("done") {
    run(small(folder / "*"), rows);
  }
  SUBCASE("half read") {
    run(small(folder / "*"), rows, 3);
  }
  append(path, "3\n");
  CHECK(run(small(folder / "*"), rows) == Texts{"opened 1 a", "chunk 1 3\n", "ended 1 at 4 6"});
  CHECK(run(small(folder / "*"), rows).empty());
}

TEST_CASE("a compressed source that got more frames continues behind what was read") {
  TempFolder folder;
  const std::string path = folder.write("a", test::zstd("1\n"));
  auto rows = std::make_shared<Rows>();
  run(small(folder / "*"), rows);
  append(path, test::zstd("2\n"));
  CHECK(run(small(folder / "*"), rows) == Texts{"opened 1 a", "chunk 1 2\n", "ended 1 at 3 4"});
}

TEST_CASE("a source that grew after its own output got its name is changed") {
  TempFolder folder;
  const std::string path = folder.write("a", "1\n");
  auto rows = std::make_shared<Rows>();
  run(options(folder / "*"), rows, 1000, true);
  rows->published = {1};
  append(path, "2\n");
  CHECK(run(options(folder / "*"), rows, 1000, true) == Texts{"changed 1"});
  CHECK(reason(rows, 1) ==
        path +
            ": it grew after its output was published: it had 2 bytes and has 4; it was read up "
            "to line 1, offset 2. `leat run --reread " +
            path + "` reads it again from its start");
}

TEST_CASE("an edited or truncated source is told in each run and never read") {
  TempFolder folder;
  const std::string path = folder.write("a", "1\n2\n3\n");
  auto rows = std::make_shared<Rows>();
  std::string wrong;
  SUBCASE("done and truncated") {
    run(small(folder / "*"), rows);
    std::filesystem::resize_file(path, 4);
    wrong = ": it was truncated: it had 6 bytes and has 4; it was read up to line 3, offset 6.";
  }
  SUBCASE("half read and truncated") {
    run(small(folder / "*"), rows, 3);
    std::filesystem::resize_file(path, 2);
    wrong = ": it was truncated: it had 6 bytes and has 2; it was read up to line 2, offset 4.";
  }
  SUBCASE("done and edited in place") {
    run(small(folder / "*"), rows);
    folder.write("a", "1\nx\n3\n");
    touch(path);
    wrong = ": it was written to since it was read: it still has 6 bytes, but another time of modification;";
  }
  SUBCASE("half read, grown, another head") {
    run(small(folder / "*"), rows, 3);
    folder.write("a", "x\n2\n3\n4\n");
    wrong = ": its first 6 bytes are not those that it had when it was read;";
  }
  SUBCASE("a head that is the same, and another tail") {
    const std::string head = std::string(kTailBytes, 'h') + "\n";
    folder.write("a", head + std::string(kTailBytes, 't') + "\n1\n2\n");
    run(small(folder / "*"), rows, 4);
    folder.write("a", head + std::string(kTailBytes, 'T') + "\n1\n2\n3\n");
    wrong = ": the 65536 bytes before offset 131076 are not those that were read;";
  }
  for (int i = 0; i < 2; ++i) CHECK(run(small(folder / "*"), rows) == Texts{"changed 1"});
  CAPTURE(reason(rows, 1));
  CHECK(reason(rows, 1).starts_with(path + wrong));
  CHECK(reason(rows, 1).ends_with("`leat run --reread " + path + "` reads it again from its start"));
}

TEST_CASE("a place beyond the end of the file is no place to continue from") {
  TempFolder folder;
  const std::string path = folder.write("a", "1\n2\n");
  auto rows = std::make_shared<Rows>();
  run(small(folder / "*"), rows, 3);
  rows->row(1).place.offset = 100;
  rows->row(1).place.tail_bytes = 0;
  CHECK(run(small(folder / "*"), rows) == Texts{"changed 1"});
  CHECK(
      reason(rows, 1).starts_with(path + ": it ends at 4 bytes, before the place up to which it was read;"));
}

TEST_CASE("a last line without a newline was a record: it may get its newline, and no more") {
  TempFolder folder;
  const std::string path = folder.write("a", "1\n2");
  auto rows = std::make_shared<Rows>();
  CHECK(run(options(folder / "*"), rows) == Texts{"opened 1 a", "chunk 1 1\n2\n", "ended 1 at 3 3"});
  CHECK(rows->row(1).place.unterminated);
  SUBCASE("its newline and more") {
    append(path, "\n3\n");
    CHECK(run(options(folder / "*"), rows) == Texts{"opened 1 a", "chunk 1 3\n", "ended 1 at 4 6"});
  }
  SUBCASE("its newline") {
    append(path, "\n");
    CHECK(run(options(folder / "*"), rows) == Texts{"opened 1 a", "ended 1 at 3 4"});
    CHECK_FALSE(rows->row(1).place.unterminated);
  }
  SUBCASE("more of it") {
    append(path, "22\n");
    CHECK(run(options(folder / "*"), rows) == Texts{"changed 1"});
    CHECK(reason(rows, 1).find("is longer now") != std::string::npos);
  }
}

TEST_CASE("a source with another name is the same while the old one is gone, and another while it is there") {
  TempFolder folder;
  const std::string path = folder.write("b", "1\n2\n");
  auto rows = std::make_shared<Rows>();
  SUBCASE("done, moved") {
    run(small(folder / "*"), rows);
    std::filesystem::rename(path, folder / "a");
    CHECK(run(small(folder / "*"), rows) == Texts{"moved 1"});
    CHECK(rows->row(1).path == folder / "a");
    CHECK(run(small(folder / "*"), rows).empty());
  }
  SUBCASE("half read, moved") {
    run(small(folder / "*"), rows, 2);
    std::filesystem::rename(path, folder / "a");
    CHECK(run(small(folder / "*"), rows) == Texts{"moved 1", "opened 1 a", "chunk 1 2\n", "ended 1 at 3 4"});
  }
  SUBCASE("a second name") {
    run(small(folder / "*"), rows);
    std::filesystem::create_hard_link(path, folder / "a");
    CHECK(run(options(folder / "*"), rows) == Texts{"opened 2 a", "chunk 2 1\n2\n", "ended 2 at 3 4"});
  }
  SUBCASE("moved and copied: one of them is the old one") {
    run(small(folder / "*"), rows);
    std::filesystem::rename(path, folder / "a");
    std::filesystem::create_hard_link(folder / "a", folder / "c");
    CHECK(run(options(folder / "*"), rows) ==
          Texts{"moved 1", "opened 2 c", "chunk 2 1\n2\n", "ended 2 at 3 4"});
  }
  SUBCASE("the same size and time, and other bytes") {
    run(small(folder / "*"), rows);
    const auto time = std::filesystem::last_write_time(path);
    std::filesystem::remove(path);
    std::filesystem::last_write_time(folder.write("a", "3\n4\n"), time);
    CHECK(run(options(folder / "*"), rows) == Texts{"opened 2 a", "chunk 2 3\n4\n", "ended 2 at 3 4"});
  }
}

TEST_CASE("a source that failed is tried again when nothing of it was used, or when it has changed") {
  TempFolder folder;
  auto rows = std::make_shared<Rows>();
  SUBCASE("nothing was used") {
    folder.write("a.zst", test::zstd("1\n").substr(0, 9));
    for (int i = 0; i < 2; ++i)
      CHECK(run(options(folder / "*"), rows) == Texts{"opened 1 a.zst", "failed 1 at 0"});
    folder.write("a.zst", test::zstd("1\n"));
    CHECK(run(options(folder / "*"), rows) == Texts{"opened 1 a.zst", "chunk 1 1\n", "ended 1 at 2 2"});
  }
  SUBCASE("cut short after some lines") {
    const std::string bytes = test::zstd("1\n") + test::zstd("2\n");
    const std::string path = folder.write("a.zst", bytes.substr(0, bytes.size() - 2));
    CHECK(run(options(folder / "*"), rows) == Texts{"opened 1 a.zst", "chunk 1 1\n", "failed 1 at 2"});
    CHECK(run(options(folder / "*"), rows) == Texts{"failed 1 at 2"});
    append(path, bytes.substr(bytes.size() - 2));
    CHECK(run(options(folder / "*"), rows) == Texts{"opened 1 a.zst", "chunk 1 2\n", "ended 1 at 3 4"});
  }
}

TEST_CASE("NUL bytes at the end are not there yet: another run continues when they are") {
  TempFolder folder;
  const std::string path = folder.write("a", std::string("1\nha\0\0\0", 7));
  auto rows = std::make_shared<Rows>();
  CHECK(run(options(folder / "*"), rows) == Texts{"opened 1 a", "chunk 1 1\n", "failed 1 at 2, again"});
  CHECK(reason(rows, 1) == path + " ends in 3 NUL bytes at offset 4: not written yet; run again");
  CHECK(run(options(folder / "*"), rows) == Texts{"opened 1 a", "failed 1 at 2, again"});
  SUBCASE("filled in") {
    folder.write("a", "1\nhalf\n");
    touch(path);
    CHECK(run(options(folder / "*"), rows) == Texts{"opened 1 a", "chunk 1 half\n", "ended 1 at 3 7"});
  }
  SUBCASE("cut off: what was reserved was too much") {
    folder.write("a", "1\nha\n");
    CHECK(run(options(folder / "*"), rows) == Texts{"opened 1 a", "chunk 1 ha\n", "ended 1 at 3 5"});
  }
  SUBCASE("filled in, and edited before") {
    folder.write("a", "x\nhalf\n");
    touch(path);
    CHECK(run(options(folder / "*"), rows) == Texts{"changed 1"});
  }
}

TEST_CASE("a file of NUL bytes alone, or a compressed one that ends in them, is not there yet") {
  TempFolder folder;
  auto rows = std::make_shared<Rows>();
  folder.write("a", std::string(100'000, '\0'));
  CHECK(run(options(folder / "*"), rows) == Texts{"opened 1 a", "failed 1 at 0, again"});
  CHECK(reason(rows, 1).find("100000 NUL bytes at offset 0") != std::string::npos);
  folder.write("a", "1\n");
  CHECK(run(options(folder / "*"), rows) == Texts{"opened 1 a", "chunk 1 1\n", "ended 1 at 2 2"});
  const std::string whole = test::zstd("1\n") + test::zstd("2\n", false, 0, true);
  folder.write("b", whole.substr(0, whole.size() - 5) + std::string(1000, '\0'));
  CHECK(run(options(folder / "*"), rows) == Texts{"opened 2 b", "chunk 2 1\n", "failed 2 at 2, again"});
  folder.write("b", whole);
  touch(folder / "b");
  CHECK(run(options(folder / "*"), rows) == Texts{"opened 2 b", "chunk 2 2\n", "ended 2 at 3 4"});
}

TEST_CASE("a half read source that is not there is told and kept") {
  TempFolder folder;
  const std::string path = folder.write("a", "1\n2\n");
  auto rows = std::make_shared<Rows>();
  run(small(folder / "*"), rows, 2);
  std::filesystem::rename(path, folder / ".away");
  CHECK(run(small(folder / "*"), rows) == Texts{"note"});
  std::filesystem::rename(folder / ".away", path);
  CHECK(run(small(folder / "*"), rows) == Texts{"opened 1 a", "chunk 1 2\n", "ended 1 at 3 4"});
}

TEST_CASE("what starts over is read from its start under its number") {
  TempFolder folder;
  folder.write("a", "1\n2\n");
  auto rows = std::make_shared<Rows>();
  run(options(folder / "*"), rows);
  rows->row(1) = {};
  rows->row(0).id = 1;
  rows->row(1).path = folder / "a";
  CHECK(run(options(folder / "*"), rows) == Texts{"opened 1 a", "chunk 1 1\n2\n", "ended 1 at 3 4"});
}
