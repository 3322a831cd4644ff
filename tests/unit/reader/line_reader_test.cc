#include "workers/reader/line_reader.h"

#include <doctest/doctest.h>

#include <random>
#include <string>

#include "tests/unit/reader/lines.h"

using namespace leat;
using namespace leat::reader;
using leat::reader::test::StringSource;

namespace {

constexpr std::size_t kMax = 1 << 20;

// With one byte at a time and with all at once, and small and large targets.
std::string compare_all(const std::string& bytes, std::size_t max_record = kMax) {
  for (const std::size_t step : {1U, 2U, 3U, 7U, 4096U, 1U << 20}) {
    for (const std::size_t target : {1U, 2U, 3U, 5U, 8U, 100U, 65536U}) {
      StringSource source(bytes, [&] { return step; });
      const std::string wrong = test::compare(bytes, source, max_record, [&] { return target; });
      if (!wrong.empty()) return fmt::format("step {} target {}: {}", step, target, wrong);
    }
  }
  return "";
}

Chunk only(const std::string& bytes, std::size_t target, std::size_t max_record = kMax) {
  StringSource source(bytes);
  LineReader reader(source, kHeap, {max_record, {}});
  Result<std::optional<Chunk>> chunk = reader.next(target);
  REQUIRE(chunk);
  REQUIRE(*chunk);
  return std::move(**chunk);
}

}  // namespace

TEST_CASE("an empty source has no chunk, and continues having none") {
  StringSource source("");
  LineReader reader(source, kHeap, {});
  CHECK_FALSE(*reader.next(10));
  CHECK_FALSE(*reader.next(10));
  CHECK(reader.position() == Position{});
}

TEST_CASE("lines fill a chunk up to the target and never beyond") {
  const Chunk chunk = only("aa\nbb\ncc\n", 7);
  CHECK(chunk.payload.view() == "aa\nbb\n");
  CHECK(chunk.line_count == 2);
  CHECK(chunk.end_offset == 6);
  CHECK(only("aa\nbb\ncc\n", 6).payload.view() == "aa\nbb\n");
  CHECK(only("aa\nbb\ncc\n", 9).payload.view() == "aa\nbb\ncc\n");
}

TEST_CASE("lines are the same however they are read") {
  CHECK(compare_all("a\nbb\nccc\n") == "");
  CHECK(compare_all("one line only\n") == "");
  CHECK(compare_all("\n") == "");
}

TEST_CASE("blank lines stay and count") {
  CHECK(compare_all("\n\n\na\n\n \t\n\n") == "");
  CHECK(only("\n\n\n", 100).line_count == 3);
}

TEST_CASE("a carriage return stays in its line") {
  CHECK(compare_all("a\r\nb\r\n\r\nc\r") == "");
  CHECK(only("a\r\n", 100).payload.view() == "a\r\n");
}

TEST_CASE("NUL bytes are bytes") {
  CHECK(compare_all(std::string("a\0b\n\0\0\n\0", 9)) == "");
}

TEST_CASE("the last line gets the newline it lacks, and is marked") {
  CHECK(compare_all("a\nb") == "");
  const Chunk chunk = only("a\nb", 100);
  CHECK(chunk.payload.view() == "a\nb\n");
  CHECK(chunk.unterminated);
  CHECK(chunk.end_offset == 3);
  CHECK_FALSE(only("a\nb\n", 100).unterminated);
}

TEST_CASE("a file that is one unterminated line as long as the target is one chunk") {
  const Chunk chunk = only("abcd", 4);
  CHECK(chunk.payload.view() == "abcd\n");
  CHECK(chunk.line_count == 1);
}

TEST_CASE("a byte order mark is skipped and counts in the offsets") {
  CHECK(compare_all("\xEF\xBB\xBF{}\n{}\n") == "");
  CHECK(compare_all("\xEF\xBB\xBF") == "");
  CHECK(compare_all("\xEF\xBB") == "");
  CHECK(compare_all("\xEF\xBB\xBF\n") == "");
  const Chunk chunk = only("\xEF\xBB\xBF{}\n", 100);
  CHECK(chunk.first_offset == 3);
  CHECK(chunk.end_offset == 6);
}

TEST_CASE("a byte order mark further on is data") {
  CHECK(compare_all("a\n\xEF\xBB\xBF{}\n") == "");
}

TEST_CASE("a line longer than the target travels alone") {
  const std::string longer(300'000, 'x');
  CHECK(compare_all("a\n" + longer + "\nb\nc\n") == "");
  CHECK(compare_all(longer) == "");
  StringSource source("a\n" + longer + "\nb\nc\n");
  LineReader reader(source, kHeap, {});
  CHECK((**reader.next(1000)).payload.view() == "a\n");
  CHECK((**reader.next(1000)).payload.size() == longer.size() + 1);
  CHECK((**reader.next(1000)).payload.view() == "b\nc\n");
}

TEST_CASE("a line as long as the limit passes, one byte more does not") {
  CHECK(compare_all("12345678\n", 8) == "");
  CHECK(compare_all("123456789\n", 8) == "");
  CHECK(only("12345678\n", 4, 8).oversize.empty());
  const Chunk chunk = only("123456789\nb\n", 4, 8);
  REQUIRE(chunk.oversize.size() == 1);
  CHECK(chunk.payload.empty());
  CHECK(chunk.oversize[0].length == 9);
  CHECK(chunk.end_offset == 10);
}

TEST_CASE("an oversize line keeps the lines around it in order") {
  const std::string large(10'000, 'x');
  CHECK(compare_all("a\nb\n" + large + "\nc\n" + large + "\n" + large + "\nd", 5000) == "");
  CHECK(compare_all(large, 5000) == "");
  CHECK(compare_all("a\n" + large, 9999) == "");
  CHECK(compare_all("a\n" + large, 10'000) == "");
}

TEST_CASE("a limit below the target is kept for every line of a chunk") {
  CHECK(compare_all("aa\nbbb\ncccc\nb\n\ndddd\ne", 3) == "");
  CHECK(only("aa\nbbb\ncccc\nb\n", 1000, 3).payload.view() == "aa\nbbb\n");
}

TEST_CASE("an oversize line is never held whole") {
  StringSource source(std::string(64 << 20, 'x') + "\nb\n", [] { return std::size_t{1} << 16; });
  LineReader reader(source, kHeap, {100'000, {}});
  const Result<std::optional<Chunk>> chunk = reader.next(4096);
  CHECK((*chunk)->oversize[0].length == 64 << 20);
  CHECK(source.largest_read <= 65536);
  CHECK((**reader.next(4096)).payload.view() == "b\n");
}

TEST_CASE("a chunk that holds little of the target does not keep the memory of a full one") {
  StringSource source("a\n");
  LineReader reader(source, kHeap, {});
  CHECK((**reader.next(1 << 20)).payload.capacity() < 1024);
}

TEST_CASE("the target may change from call to call") {
  std::string bytes;
  for (int i = 0; i < 5000; ++i) bytes += fmt::format("line {}\n", i * i);
  std::size_t call = 0;
  StringSource source(bytes);
  CHECK(test::compare(bytes, source, kMax, [&] { return std::size_t{1} << (call++ * 7 % 16); }) == "");
}

TEST_CASE("a source that fails delivers the whole lines first, then the error, again and again") {
  StringSource source("a\nb\nhalf");
  source.error = Error{Fault::kReject, "broken"};
  LineReader reader(source, kHeap, {});
  CHECK((**reader.next(100)).payload.view() == "a\nb\n");
  for (int i = 0; i < 2; ++i) {
    const Result<std::optional<Chunk>> failed = reader.next(100);
    REQUIRE_FALSE(failed);
    CHECK(failed.error().text == "broken");
  }
  CHECK(reader.position() == Position{3, 4, {}, mark_of("a\nb\n")});
}

TEST_CASE("a failing source is cut at its last newline, whatever the sizes") {
  for (const std::string bytes :
       {"", "a", "a\n", "a\nb", "\xEF\xBB\xBF", "aaaaaaaaaaaaaaaaaaaaaaa\nbbbbbbbbbbbbbbbbbb"}) {
    for (std::size_t target = 1; target < 30; ++target) {
      StringSource source(bytes, [] { return std::size_t{3}; });
      source.error = Error{Fault::kRetry, "away"};
      CHECK(test::compare(bytes, source, 20, [&] { return target; }) == "");
    }
  }
}

TEST_CASE("a reader continues from a position, passing over what comes before") {
  StringSource source("a\nb\nc\n", [] { return std::size_t{1}; });
  LineReader reader(source, kHeap, {kMax, {3, 4, {}}});
  const Chunk chunk = std::move(**reader.next(100));
  CHECK(chunk.payload.view() == "c\n");
  CHECK(chunk.first_line == 3);
  CHECK(chunk.first_offset == 4);
}

TEST_CASE("a position behind the end of the source is refused") {
  StringSource source("a\n");
  LineReader reader(source, kHeap, {kMax, {9, 100, {}}});
  const Result<std::optional<Chunk>> chunk = reader.next(100);
  REQUIRE_FALSE(chunk);
  CHECK(chunk.error().fault == Fault::kReject);
  CHECK(chunk.error().text.find("100") != std::string::npos);
}

TEST_CASE("a position at the end of the source has nothing left") {
  StringSource source("a\n");
  LineReader reader(source, kHeap, {kMax, {2, 2, {}}});
  CHECK_FALSE(*reader.next(100));
}

TEST_CASE("random files, reads, targets and limits split as the plain way splits them") {
  std::mt19937 random(20240601);
  const auto below = [&](std::size_t limit) { return std::size_t{random() % limit}; };
  for (int round = 0; round < 3000; ++round) {
    std::string bytes = below(8) == 0 ? "\xEF\xBB\xBF" : "";
    const std::size_t longest = std::size_t{1} << below(12);
    for (std::size_t lines = below(40); lines-- > 0;) {
      bytes.append(below(longest), static_cast<char>('a' + below(26)));
      if (lines > 0 || below(2) == 0) bytes += '\n';
    }
    const std::size_t max_record = below(3) == 0 ? below(longest) + 1 : kMax;
    const std::size_t step = std::size_t{1} << below(14);
    const std::size_t target = std::size_t{1} << below(14);
    StringSource source(bytes, [&] { return below(step) + 1; });
    if (below(4) == 0) source.error = Error{Fault::kReject, "broken"};
    const std::string wrong = test::compare(bytes, source, max_record, [&] { return below(target); });
    CAPTURE(round);
    REQUIRE(wrong == "");
  }
}

TEST_CASE("newlines are counted whatever the length and place") {
  std::mt19937 random(7);
  for (std::size_t size = 0; size < 10'000; size = size * 2 + 1 + random() % 3) {
    std::string bytes(size, 'x');
    std::uint64_t expected = 0;
    for (char& byte : bytes) {
      if (random() % 3 == 0) byte = '\n', ++expected;
    }
    CHECK(count_newlines(bytes.data(), bytes.size()) == expected);
  }
  const std::string all(100'003, '\n');
  CHECK(count_newlines(all.data() + 1, all.size() - 1) == all.size() - 1);
}

namespace {

// Reads all lines; what was delivered, and the reader as it is then.
std::string all_lines(LineReader& reader) {
  std::string out;
  for (;;) {
    Result<std::optional<Chunk>> chunk = reader.next(7);
    REQUIRE(chunk);
    if (!*chunk) return out;
    out += (*chunk)->payload.view();
  }
}

}  // namespace

TEST_CASE(
    "the tail is of the last 64 KiB of the source: with its byte order mark, without an added newline") {
  const std::string bytes = "\xEF\xBB\xBF" + std::string(kTailBytes, 'a') + "\nb";
  StringSource source(bytes);
  LineReader reader(source, kHeap, {});
  CHECK((**reader.next(10)).tail == mark_of(bytes.substr(4, kTailBytes)));
  CHECK((**reader.next(10)).tail == mark_of(bytes.substr(5, kTailBytes)));
  CHECK(reader.position().unterminated);
}

TEST_CASE("a line over the limit counts in the tail like any other") {
  const std::string bytes = "a\n" + std::string(100, 'x') + "\nb\n";
  StringSource source(bytes, [] { return std::size_t{9}; });
  LineReader reader(source, kHeap, {20, {}});
  while (*reader.next(10)) continue;
  CHECK(reader.position().tail == mark_of(bytes));
}

TEST_CASE("reading continues only behind the tail it stopped at") {
  const Position at{3, 4, {}, mark_of("a\nb\n")};
  StringSource same("a\nb\nc\n");
  LineReader good(same, kHeap, {kMax, at});
  CHECK(all_lines(good) == "c\n");
  CHECK(good.position().tail == mark_of("a\nb\nc\n"));
  StringSource edited("a\nB\nc\n");
  LineReader bad(edited, kHeap, {kMax, at});
  const Result<void> begun = bad.begin();
  REQUIRE_FALSE(begun);
  CHECK(bad.changed());
  CHECK(begun.error().text == "the 4 bytes before offset 4 are not those that were read");
  CHECK_FALSE(bad.next(10));
  StringSource shorter("a\n");
  LineReader cut(shorter, kHeap, {kMax, at});
  CHECK_FALSE(cut.begin());
  CHECK(cut.changed());
}

TEST_CASE("a fault while passing over is no change") {
  StringSource source("a\n");
  source.error = Error{Fault::kRetry, "away"};
  LineReader reader(source, kHeap, {kMax, {3, 4, {}, mark_of("a\nb\n")}});
  CHECK(reader.begin().error().text == "away");
  CHECK_FALSE(reader.changed());
}

TEST_CASE("behind a last line without a newline only that newline may come, and it is passed over") {
  const Position at{3, 3, {}, mark_of("a\nb"), true};
  StringSource nothing("a\nb");
  LineReader waits(nothing, kHeap, {kMax, at});
  CHECK(all_lines(waits) == "");
  CHECK(waits.position() == at);
  StringSource more("a\nb\nc\n");
  LineReader goes_on(more, kHeap, {kMax, at});
  CHECK(all_lines(goes_on) == "c\n");
  CHECK(goes_on.position() == Position{4, 6, {}, mark_of("a\nb\nc\n")});
  StringSource longer("a\nbb\n");
  LineReader refuses(longer, kHeap, {kMax, at});
  CHECK_FALSE(refuses.begin());
  CHECK(refuses.changed());
}

TEST_CASE("a last line that ends in NUL bytes is held back, whatever its length") {
  for (const std::string& last : {std::string("half\0\0", 6), std::string(1, '\0'), std::string(100, '\0')}) {
    StringSource source("a\nb\n" + last, [] { return std::size_t{9}; });
    LineReader reader(source, kHeap, {20, {}, true});
    CHECK(all_lines(reader) == "a\nb\n");
    CHECK(reader.held() == LineReader::Held::kNuls);
    CHECK(reader.position().offset == 4);
  }
  StringSource middle(std::string("a\0\nb", 4));
  LineReader reader(middle, kHeap, {kMax, {}, true});
  CHECK(all_lines(reader) == std::string("a\0\nb\n", 5));
  CHECK(reader.held() == LineReader::Held::kNothing);
}

TEST_CASE("a last line without its newline is held back when it may grow") {
  for (const std::string& last : {std::string("b"), std::string(100, 'b')}) {
    StringSource source("a\n" + last, [] { return std::size_t{9}; });
    LineReader reader(source, kHeap, {20, {}, true, true});
    CHECK(all_lines(reader) == "a\n");
    CHECK(reader.held() == LineReader::Held::kUnterminated);
  }
  StringSource whole("a\n");
  LineReader reader(whole, kHeap, {kMax, {}, true, true});
  CHECK(all_lines(reader) == "a\n");
  CHECK(reader.held() == LineReader::Held::kNothing);
}
