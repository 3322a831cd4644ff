#include "workers/writer/dead_letters.h"

#include <doctest/doctest.h>
#include <unistd.h>

#include <filesystem>

#include "tests/unit/writer/folder.h"

using namespace leat;
using test::Folder;
using test::read_file;
using writer::DeadLetter;
using writer::DeadLetters;

namespace {

DeadLetter letter_of(std::string_view record, std::string_view reason = "why") {
  return {.source = "/in/a.jsonl",
          .line = 7,
          .offset = 2101,
          .stage = "filter",
          .reason = reason,
          .record = record};
}

const char kHead[] =
    R"({"source":"/in/a.jsonl","line":7,"offset":2101,"stage":"filter","reason":"why","attempts":1,)";

std::string written(const DeadLetter& letter) {
  Folder folder;
  DeadLetters letters(folder.path("dead"));
  REQUIRE(letters.append(letter));
  REQUIRE(letters.commit());
  return read_file(folder.path("dead"));
}

}  // namespace

TEST_CASE("a dead letter is one line of JSON with the record as a string") {
  CHECK(written(letter_of(R"({"a":"b"})")) == std::string(kHead) + R"("record":"{\"a\":\"b\"}"})" + "\n");
}

TEST_CASE("quotes, backslashes and control characters of a record are escaped") {
  std::string line = written(letter_of("a\"\\\t\x01\r"));
  CHECK(line.find(R"("record":"a\"\\\t\u0001\r")") != std::string::npos);
  CHECK(line.find('\n') == line.size() - 1);
}

TEST_CASE("a record that is not UTF-8 is base64, with every length of padding") {
  CHECK(written(letter_of("\xff")) == std::string(kHead) + "\"record_base64\":\"/w==\"}\n");
  CHECK(written(letter_of("\xff\xfe")) == std::string(kHead) + "\"record_base64\":\"//4=\"}\n");
  CHECK(written(letter_of("\xff\xfe\xfd")) == std::string(kHead) + "\"record_base64\":\"//79\"}\n");
  CHECK(written(letter_of("\xffhello")) == std::string(kHead) + "\"record_base64\":\"/2hlbGxv\"}\n");
}

TEST_CASE("an empty record is an empty string") {
  CHECK(written(letter_of("")) == std::string(kHead) + "\"record\":\"\"}\n");
}

TEST_CASE("a record by reference has its length and no bytes") {
  DeadLetter letter = letter_of("");
  letter.record.reset();
  letter.length = 20'000'000'000;
  CHECK(written(letter) == std::string(kHead) + "\"length\":20000000000}\n");
}

TEST_CASE("names and reasons that are not UTF-8 are base64 too") {
  DeadLetter letter = letter_of("x", "\xff");
  letter.source = "/in/\xff";
  std::string line = written(letter);
  CHECK(line.starts_with(R"({"source_base64":"L2luL/8=","line":7)"));
  CHECK(line.find(R"("reason_base64":"/w==")") != std::string::npos);
}

TEST_CASE("the file is not there before the first dead letter") {
  Folder folder;
  DeadLetters letters(folder.path("dead"));
  REQUIRE(letters.start({}, false));
  REQUIRE(letters.commit());
  CHECK(folder.names().empty());
  REQUIRE(letters.append(letter_of("x")));
  CHECK(test::exists(folder.path("dead")));
  CHECK(letters.count() == 1);
}

TEST_CASE("dead letters of a later run go behind those of an earlier one") {
  Folder folder;
  for (std::string_view record : {"one", "two"}) {
    DeadLetters letters(folder.path("dead"));
    REQUIRE(letters.start({}, false));
    REQUIRE(letters.append(letter_of(record)));
    REQUIRE(letters.commit());
    CHECK(letters.take_note().empty());
  }
  CHECK(read_file(folder.path("dead")) ==
        std::string(kHead) + "\"record\":\"one\"}\n" + kHead + "\"record\":\"two\"}\n");
}

TEST_CASE("the unfinished line of a crash is cut off at the start, and that is said once") {
  Folder folder;
  std::string whole = "{\"source\":\"a\"}\n";
  for (const std::string& rest : {std::string("{"), std::string(kHead),
                                  std::string(kHead) + std::string(200'000, 'x'), std::string(512, '\0')}) {
    test::write_file(folder.path("dead"), whole + rest);
    DeadLetters letters(folder.path("dead"));
    REQUIRE(letters.start({}, false));
    CHECK(read_file(folder.path("dead")) == whole);
    CHECK(letters.take_note().find("cut off " + std::to_string(rest.size()) + " bytes") != std::string::npos);
    CHECK(letters.take_note().empty());
  }
}

TEST_CASE("a file that is nothing but an unfinished line is cut to nothing") {
  Folder folder;
  test::write_file(folder.path("dead"), "{\"source\":\"/in");
  DeadLetters letters(folder.path("dead"));
  REQUIRE(letters.start({}, false));
  CHECK(read_file(folder.path("dead")).empty());
}

TEST_CASE("a file that ends in a stranger's line is refused and left alone") {
  Folder folder;
  test::write_file(folder.path("dead"), "notes\nmy diary, unfinished");
  auto started = DeadLetters(folder.path("dead")).start({}, false);
  REQUIRE_FALSE(started);
  CHECK(started.error().exit_code == kExitConfig);
  CHECK(read_file(folder.path("dead")) == "notes\nmy diary, unfinished");
}

TEST_CASE("a dead-letter file that another leat writes is refused") {
  Folder folder;
  DeadLetters first(folder.path("dead"));
  REQUIRE(first.append(letter_of("x")));
  auto second = DeadLetters(folder.path("dead")).start({}, false);
  REQUIRE_FALSE(second);
  CHECK(second.error().text.find("another leat") != std::string::npos);
}

TEST_CASE("a missing folder of the dead letters is found before anything is read") {
  Folder folder;
  auto started = DeadLetters(folder.path("none/dead")).start({}, false);
  REQUIRE_FALSE(started);
  CHECK(started.error().text.find("mkdir -p") != std::string::npos);
}

TEST_CASE("what was written after the last commit is cut off") {
  Folder folder;
  DeadLetters first(folder.path("dead"));
  REQUIRE(first.start({}, false));
  CHECK(first.pending());  // the ledger must know where it begins before anything is appended
  first.committed();
  REQUIRE(first.append(letter_of("one")));
  CHECK(first.pending());
  REQUIRE(first.commit());
  auto committed = first.file();
  REQUIRE(committed);
  CHECK(committed->letters == 1);
  CHECK(committed->length == read_file(folder.path("dead")).size());
  REQUIRE(first.append(letter_of("two")));
  REQUIRE(first.commit());
  first = DeadLetters("");  // killed before the ledger heard of it

  DeadLetters second(folder.path("dead"));
  REQUIRE(second.start(committed, false));
  CHECK(read_file(folder.path("dead")) == std::string(kHead) + "\"record\":\"one\"}\n");
  CHECK(second.take_note().empty());
  CHECK_FALSE(second.pending());
  REQUIRE(second.append(letter_of("two")));
  REQUIRE(second.commit());
  CHECK(second.file()->letters == 2);
}

TEST_CASE(
    "letters of a run that was killed before its first commit are cut off, but not what was there before") {
  Folder folder;
  test::write_file(folder.path("dead"), "{\"source\":\"old\"}\n");
  DeadLetters first(folder.path("dead"));
  REQUIRE(first.start({}, false));
  auto base = first.file();
  REQUIRE(first.append(letter_of("x")));
  REQUIRE(first.commit());
  first = DeadLetters("");
  DeadLetters second(folder.path("dead"));
  REQUIRE(second.start(base, false));
  CHECK(read_file(folder.path("dead")) == "{\"source\":\"old\"}\n");
}

TEST_CASE("what another pipeline has appended since a run that ended well stays") {
  Folder folder;
  std::string text = "{\"source\":\"ours\"}\n{\"source\":\"theirs\"}\n";
  test::write_file(folder.path("dead"), text);
  DeadLetters letters(folder.path("dead"));
  REQUIRE(letters.start(ledger::DeadLetterFile{folder.path("dead"), 18, 1}, true));
  CHECK(read_file(folder.path("dead")) == text);
  CHECK(letters.pending());
  CHECK(letters.file()->length == text.size());
}

TEST_CASE("a dead-letter file that was rotated away is continued at its new end, and that is said") {
  Folder folder;
  ledger::DeadLetterFile known{folder.path("dead"), 1000, 5};
  DeadLetters gone(folder.path("dead"));
  REQUIRE(gone.start(known, false));
  CHECK(gone.take_note().find("is missing, with 5 dead letters in it") != std::string::npos);
  CHECK(gone.file()->length == 0);
  test::write_file(folder.path("dead"), "{\"source\":\"a\"}\n");
  DeadLetters shorter(folder.path("dead"));
  REQUIRE(shorter.start(known, false));
  CHECK(shorter.take_note().find("has 15 of the 1000 bytes that were written") != std::string::npos);
  CHECK(shorter.file()->length == 15);
}

TEST_CASE("the ledger's length of another file means nothing") {
  Folder folder;
  test::write_file(folder.path("dead"), "{\"source\":\"a\"}\n");
  DeadLetters letters(folder.path("dead"));
  REQUIRE(letters.start(ledger::DeadLetterFile{folder.path("other"), 3, 1}, false));
  CHECK(letters.file()->length == 15);
  CHECK(letters.file()->letters == 0);
}

TEST_CASE("a device has nothing for the ledger") {
  DeadLetters letters("/dev/null");
  REQUIRE(letters.start({}, false));
  REQUIRE(letters.append(letter_of("x")));
  REQUIRE(letters.commit());
  CHECK_FALSE(letters.file());
}

TEST_CASE("many dead letters, and one larger than every buffer, are all there in order") {
  Folder folder;
  DeadLetters letters(folder.path("dead"));
  std::string expected;
  for (int i = 0; i < 3000; ++i) {
    std::string record = i == 1500 ? std::string(3'000'000, 'y') : std::to_string(i);
    REQUIRE(letters.append(letter_of(record)));
    expected += kHead + ("\"record\":\"" + record) + "\"}\n";
  }
  REQUIRE(letters.commit());
  CHECK(read_file(folder.path("dead")) == expected);
  CHECK(letters.count() == 3000);
}

TEST_CASE("no room for dead letters is an error at the commit") {
  DeadLetters letters("/dev/full");
  REQUIRE(letters.start({}, false));
  REQUIRE(letters.append(letter_of("x")));
  auto committed = letters.commit();
  REQUIRE_FALSE(committed);
  CHECK(committed.error().text.find("free some") != std::string::npos);
}

TEST_CASE("where others can put links, none is followed, and no file that is not ours is written") {
  Folder folder;
  std::filesystem::create_directory(folder.path("shared"));
  std::filesystem::permissions(folder.path("shared"), std::filesystem::perms::all);
  test::write_file(folder.path("precious"), "export PATH\n");
  const std::string dead = folder.path("shared/dead");
  std::string why;
  SUBCASE("a link") {
    std::filesystem::create_symlink(folder.path("precious"), dead);
    why = "is a link";
  }
  SUBCASE("another name of a file") {
    std::filesystem::create_hard_link(folder.path("precious"), dead);
    why = "has another name too";
  }
  SUBCASE("a file of a stranger") {
    if (::geteuid() != 0) return;
    test::write_file(dead, "");
    REQUIRE(::chown(dead.c_str(), 65123, 65123) == 0);
    why = "was put there by user 65123";
  }
  DeadLetters letters(dead);
  auto started = letters.start({}, false);
  REQUIRE_FALSE(started);
  CHECK(started.error().exit_code == kExitConfig);
  CHECK(started.error().text.find(why) != std::string::npos);
  CHECK(read_file(folder.path("precious")) == "export PATH\n");
}

TEST_CASE("a link in a folder of one's own is followed") {
  Folder folder;
  std::filesystem::permissions(folder.root(), std::filesystem::perms::owner_all);
  test::write_file(folder.path("file"), "");
  std::filesystem::create_symlink(folder.path("file"), folder.path("dead"));
  DeadLetters letters(folder.path("dead"));
  REQUIRE(letters.start({}, false));
  REQUIRE(letters.append(letter_of("x")));
  REQUIRE(letters.commit());
  CHECK(read_file(folder.path("file")).starts_with(kHead));
}
