#include "workers/filter/set.h"

#include "tests/unit/filter/support.h"

namespace leat::filter {
namespace {

Set loaded(std::string_view content) {
  return Set::load(TemporaryFile(content).path()).value();
}

TEST_CASE("a set holds what was added and nothing else") {
  Set set;
  for (const char* member : {"py", "c", "md", ""}) REQUIRE(set.add(member));
  set.seal();
  CHECK(set.size() == 4);
  for (const char* member : {"py", "c", "md", ""}) CHECK(set.has_text(member));
  for (const char* other : {"p", "pyc", "C", " "}) CHECK_FALSE(set.has_text(other));
}

TEST_CASE("an empty set holds nothing") {
  Set set;
  set.seal();
  CHECK_FALSE(set.has_text(""));
  CHECK_FALSE(set.has_number(Number("0")));
}

TEST_CASE("members may hold newlines and NUL bytes") {
  Set set;
  REQUIRE(set.add(std::string_view("a\nb\0c", 5)));
  set.seal();
  CHECK(set.has_text(std::string_view("a\nb\0c", 5)));
  CHECK_FALSE(set.has_text("a"));
}

TEST_CASE("members of every length up to and past a length byte are found") {
  Set set;
  for (std::size_t size = 0; size < 400; ++size) REQUIRE(set.add(std::string(size, 'x')));
  REQUIRE(set.add(std::string(20'000, 'x')));
  set.seal();
  for (std::size_t size = 0; size < 400; ++size) CHECK(set.has_text(std::string(size, 'x')));
  CHECK(set.has_text(std::string(20'000, 'x')));
  CHECK_FALSE(set.has_text(std::string(400, 'x')));
}

TEST_CASE("a member that was added often is kept once") {
  const std::string member(1000, 'x');
  Set set;
  for (int i = 0; i < 100; ++i) REQUIRE(set.add(member));
  REQUIRE(set.add("other"));
  set.seal();
  CHECK(set.size() == 2);
  CHECK(set.memory_bytes() < 2000);
  CHECK(set.has_text(member));
  CHECK(set.has_text("other"));
}

TEST_CASE("a file is read with LF, CRLF, blank lines and no newline at its end") {
  const Set set = loaded("one\r\ntwo\n\n  \t\n\r\nthree four\nlast");
  CHECK(set.size() == 4);
  for (const char* member : {"one", "two", "three four", "last"}) CHECK(set.has_text(member));
  CHECK_FALSE(set.has_text("one\r"));
  CHECK_FALSE(set.has_text(""));
}

TEST_CASE("spaces around a member belong to it") {
  const Set set = loaded(" a \n");
  CHECK(set.has_text(" a "));
  CHECK_FALSE(set.has_text("a"));
}

TEST_CASE("a byte order mark is no part of the first member") {
  const Set set = loaded(
      "\xef\xbb\xbf"
      "first\n\xef\xbb\xbfsecond\n");
  CHECK(set.has_text("first"));
  CHECK(set.has_text("\xef\xbb\xbfsecond"));
}

TEST_CASE("an empty file is an empty set") {
  CHECK(loaded("").size() == 0);
}

TEST_CASE("a line that is longer than the read buffer is one member") {
  const std::string line(700'000, 'x');
  const Set set = loaded("a\n" + line + "\nb\n");
  CHECK(set.size() == 3);
  CHECK(set.has_text(line));
}

TEST_CASE("lines that are JSON numbers are found by value") {
  const Set set = loaded("1.50\n1e3\n007\n0x10\nabc\n9007199254740993\n");
  CHECK(set.number_count() == 3);
  CHECK(set.has_number(Number("1.5")));
  CHECK(set.has_number(Number("1000")));
  CHECK(set.has_number(Number("9007199254740993.0")));
  CHECK_FALSE(set.has_number(Number("9007199254740992")));
  CHECK_FALSE(set.has_number(Number("7")));
  CHECK_FALSE(set.has_number(Number("16")));
  CHECK(set.has_text("007"));
  CHECK_FALSE(set.has_text("1.5"));
}

TEST_CASE("numbers that are equal count once, their texts each") {
  const Set set = loaded("1\n1.0\n10e-1\n");
  CHECK(set.size() == 3);
  CHECK(set.number_count() == 1);
}

TEST_CASE("two hundred thousand members are all found, as many others are not, at 8 bytes a member") {
  std::string content;
  for (int i = 0; i < 200'000; ++i) content += "host-" + std::to_string(i) + ".example\r\n";
  const Set set = loaded(content);
  CHECK(set.size() == 200'000);
  CHECK(set.memory_bytes() <= content.size() + 200'000 * 8);
  for (int i = 0; i < 200'000; ++i) {
    REQUIRE(set.has_text("host-" + std::to_string(i) + ".example"));
    REQUIRE_FALSE(set.has_text("host-" + std::to_string(i) + ".exampl"));
  }
}

TEST_CASE("a missing file is bad configuration and is named") {
  const auto set = Set::load("/nonexistent/leat/blocked.txt");
  REQUIRE_FALSE(set);
  CHECK(set.error().fault == Fault::kFatal);
  CHECK(set.error().exit_code == kExitConfig);
  CHECK(set.error().text.find("/nonexistent/leat/blocked.txt") != std::string::npos);
}

TEST_CASE("a folder is bad configuration and is named") {
  const auto set = Set::load("/tmp");
  REQUIRE_FALSE(set);
  CHECK(set.error().exit_code == kExitConfig);
  CHECK(set.error().text.find("/tmp") != std::string::npos);
}

TEST_CASE("a file that cannot be read is an I/O error") {
  const auto set = Set::load("/proc/self/mem");  // opens, and fails to read at address 0
  REQUIRE_FALSE(set);
  CHECK(set.error().exit_code == kExitIo);
}

TEST_CASE("a file over the cap is refused, also when its size is not known beforehand") {
  const TemporaryFile file(std::string(1000, 'x'));
  CHECK(Set::load(file.path(), 1000));
  CHECK_FALSE(Set::load(file.path(), 999));
  const auto endless = Set::load("/dev/zero", 1 << 20);
  REQUIRE_FALSE(endless);
  CHECK(endless.error().exit_code == kExitConfig);
}

}  // namespace
}  // namespace leat::filter
