#include "daemon/replay/folder.h"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/file.h>

#include "daemon/replay/letters.h"
#include "proto/base/fd.h"
#include "tests/unit/folder.h"
#include "workers/ledger/ledger.h"

using namespace leat;
using namespace leat::replay;
using namespace leat::test;

namespace {

std::string line_of(const proto::DeadLetter& letter) {
  std::string line;
  proto::append_line(line, letter);
  return line;
}

std::string letter(std::uint64_t line, const std::string& record, std::uint64_t attempts = 1,
                   const std::string& source = "/in/a.jsonl") {
  return line_of({source, line, line * 100, "filter", "no", attempts, record, 0});
}

std::string by_reference(std::uint64_t line) {
  proto::DeadLetter big{"/in/a.jsonl", line, line * 100, "reader", "too long", 1, std::nullopt, 5'000'000};
  return line_of(big);
}

template <class T>
T value(Result<T> result) {
  if (!result) throw std::runtime_error(result.error().text);
  return *std::move(result);
}

// A state folder beside a dead-letter file with four letters, the third by reference, and a line that is none.
struct Place {
  Folder folder;
  std::string state = folder.path("state");
  std::string file = folder.path("dead.jsonl");
  Place() {
    std::filesystem::create_directory(state);
    folder.write("dead.jsonl", letters());
  }
  static std::string letters() {
    return letter(3, "{\"a\":1") + letter(5, "\xFF", 2) + by_reference(6) + "a remark\n" + letter(9, "[]");
  }
  Replay begin(const std::string& id = "R1") {
    Replay replay;
    replay.id = id;
    replay.dead_letter = file;
    replay.sink = "/out/{stem}.jsonl";
    return value(begin_replay(state, "p", file, replay));
  }
  // The ledger of the pipeline knows the first `length` bytes of the file.
  void know(std::uint64_t length) {
    auto ledger = value(ledger::Ledger::open(state, "p"));
    ledger::Commit commit;
    commit.epoch = value(ledger.begin_epoch("run"));
    commit.dead_letters = ledger::DeadLetterFile{file, length, 1};
    if (!ledger.commit(commit)) throw std::runtime_error("commit");
  }
  bool is_known() { return value(value(ledger::View::open(state))->dead_letters()).has_value(); }
};

}  // namespace

TEST_CASE("a replay takes the records out of the file, keeps what has none, and moves the file aside") {
  Place place;
  Replay replay = place.begin();
  CHECK(replay.letters == 3);
  CHECK(replay.kept == 2);
  CHECK(place.folder.read("state/replay-R1/replay-R1.jsonl") == "{\"a\":1\n\xFF\n[]\n");
  CHECK(place.folder.read("state/replay-R1/kept.jsonl") == by_reference(6) + "a remark\n");
  CHECK_FALSE(place.folder.has("dead.jsonl"));
  CHECK(place.folder.read("dead.jsonl.replay-R1") == Place::letters());
  auto again = value(unfinished_replay(place.state, "p"));
  REQUIRE(again);
  CHECK(again->id == "R1");
  CHECK(again->sink == replay.sink);
  CHECK(again->letters == 3);
}

TEST_CASE("letters that come again tell where they first came from, behind those that were never fed") {
  Place place;
  Replay replay = place.begin();
  place.folder.write("state/replay-R1/dead.jsonl",
                     letter(2, "\xFF", 1, replay.source()) + letter(3, "[]", 4, replay.source()));
  place.folder.write("dead.jsonl", letter(70, "of a run in between"));
  CHECK(value(end_replay(place.state, "p", replay)) == 4);
  CHECK(place.folder.read("dead.jsonl") == letter(70, "of a run in between") + by_reference(6) +
                                               "a remark\n" + letter(5, "\xFF", 3) + letter(9, "[]", 5));
  CHECK(place.folder.has("dead.jsonl.replay-R1"));
  CHECK_FALSE(place.folder.has("state/replay-R1"));
  CHECK_FALSE(value(unfinished_replay(place.state, "p")));
}

TEST_CASE("letters that were never committed are not replayed, as their run will write them again") {
  Place place;
  std::uint64_t length = letter(3, "{\"a\":1").size();
  place.know(length);
  Replay replay = place.begin();
  CHECK(replay.letters == 1);
  CHECK(replay.kept == 0);
  CHECK(std::filesystem::file_size(replay.aside) == length);
  CHECK_FALSE(place.is_known());
}

TEST_CASE("the ledger forgets the file's length at the end too, and its uncommitted letters are cut") {
  Place place;
  Replay replay = place.begin();
  std::string committed = letter(70, "committed");
  place.folder.write("dead.jsonl", committed + letter(71, "not committed") + "{\"sour");
  place.know(committed.size());
  CHECK(value(end_replay(place.state, "p", replay)) == 2);
  CHECK(place.folder.read("dead.jsonl") == committed + by_reference(6) + "a remark\n");
  CHECK_FALSE(place.is_known());
}

TEST_CASE("a beginning that was killed before the file was moved leaves nothing, and the next one begins") {
  Place place;
  place.begin();
  std::filesystem::rename(place.folder.path("state/replay-R1"), place.folder.path("state/.replay-R1.new"));
  std::filesystem::rename(place.folder.path("dead.jsonl.replay-R1"), place.file);
  CHECK_FALSE(value(unfinished_replay(place.state, "p")));
  CHECK_FALSE(place.folder.has("state/.replay-R1.new"));
  CHECK(place.begin("R2").letters == 3);
}

TEST_CASE("a beginning that was killed after the file was moved is continued") {
  Place place;
  place.begin();
  std::filesystem::rename(place.folder.path("state/replay-R1"), place.folder.path("state/.replay-R1.new"));
  auto replay = value(unfinished_replay(place.state, "p"));
  REQUIRE(replay);
  CHECK(replay->folder == place.folder.path("state/replay-R1"));
  CHECK(place.folder.has("state/replay-R1/replay.json"));
}

TEST_CASE("an end that was killed is done again by whoever comes next, and no letter doubles") {
  Place place;
  Replay replay = place.begin();
  place.folder.write("state/replay-R1/dead.jsonl", letter(1, "{\"a\":1", 1, replay.source()));
  std::string before = letter(70, "of a run in between");
  // Killed in the middle of appending: the marker is there, a part of the letters as well.
  place.folder.write("state/replay-R1/end.json", "{\"length\":" + std::to_string(before.size()) + "}\n");
  place.folder.write("dead.jsonl", before + by_reference(6) + "a rem");
  CHECK_FALSE(value(unfinished_replay(place.state, "p")));
  CHECK(place.folder.read("dead.jsonl") ==
        before + by_reference(6) + "a remark\n" + letter(3, "{\"a\":1", 2));
  CHECK_FALSE(place.folder.has("state/replay-R1"));
}

TEST_CASE("an end that was killed while it removed its folder is over") {
  Place place;
  place.begin();
  std::filesystem::rename(place.folder.path("state/replay-R1"), place.folder.path("state/.replay-R1.old"));
  CHECK_FALSE(value(unfinished_replay(place.state, "p")));
  CHECK_FALSE(place.folder.has("state/.replay-R1.old"));
}

TEST_CASE("nothing to feed changes nothing") {
  Place place;
  place.folder.write("dead.jsonl", by_reference(6));
  CHECK(place.begin().letters == 0);
  CHECK(place.folder.read("dead.jsonl") == by_reference(6));
  CHECK(std::filesystem::is_empty(place.state) == false);  // the writer's lock
  CHECK_FALSE(value(unfinished_replay(place.state, "p")));
}

TEST_CASE("a file that a leat writes, that is missing or no file is refused") {
  Place place;
  Replay replay;
  replay.id = "R1";
  {
    Fd writer(::open(place.file.c_str(), O_RDWR));
    REQUIRE(::flock(writer.get(), LOCK_EX) == 0);
    auto refused = begin_replay(place.state, "p", place.file, replay);
    REQUIRE_FALSE(refused);
    CHECK(refused.error().exit_code == kExitConfig);
  }
  CHECK(begin_replay(place.state, "p", place.folder.path("missing"), replay).error().exit_code ==
        kExitNoInput);
  CHECK(begin_replay(place.state, "p", "/dev/null", replay).error().exit_code == kExitConfig);
}

TEST_CASE("letters stay as they are when somebody has removed the old file") {
  Place place;
  Replay replay = place.begin();
  std::filesystem::remove(replay.aside);
  place.folder.write("state/replay-R1/dead.jsonl", letter(1, "x", 1, replay.source()));
  CHECK(value(end_replay(place.state, "p", replay)) == 3);
  CHECK(place.folder.read("dead.jsonl").ends_with(letter(1, "x", 1, replay.source())));
}
