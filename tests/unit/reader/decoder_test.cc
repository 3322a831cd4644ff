#include "workers/reader/decoder.h"

#include <doctest/doctest.h>
#include <sys/stat.h>

#include <string>

#include "tests/unit/payloads.h"
#include "tests/unit/reader/files.h"
#include "workers/reader/line_reader.h"

using namespace leat;
using namespace leat::reader;
using config::Compression;
using test::Decoded;
using test::TempFolder;

namespace {

constexpr std::uint64_t kWindow = 8 << 20;

struct Read : Decoded {
  Compression compression = Compression::kAuto;
};

Read read_bytes(const std::string& bytes, Compression compression = Compression::kAuto,
                std::uint64_t window = kWindow, std::size_t capacity = 65536) {
  TempFolder folder;
  const std::string path = folder.write("source", bytes);
  Decoders decoders(window);
  Result<Opened> opened = decoders.open(path, compression, {});
  REQUIRE(opened);
  Read out{test::drain(*opened->source, capacity), opened->compression};
  CHECK(opened->source->offset() == out.bytes.size());
  if (out.error.empty()) CHECK(opened->source->consumed() == bytes.size());
  return out;
}

bool has(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

// The lines of a file in chunks of about `target` bytes, each with its position.
std::vector<Position> positions(Decoders& decoders, const std::string& path, std::size_t target) {
  Result<Opened> opened = decoders.open(path, Compression::kAuto, {});
  REQUIRE(opened);
  LineReader lines(*opened->source, kHeap, {});
  std::vector<Position> all = {{}};
  for (;;) {
    Result<std::optional<Chunk>> chunk = lines.next(target);
    REQUIRE(chunk);
    if (!*chunk) return all;
    all.push_back((*chunk)->after());
  }
}

// Reading on from any position gives what is behind it.
void check_resume(const std::string& file, const std::string& raw) {
  TempFolder folder;
  const std::string path = folder.write("source", file);
  Decoders decoders(kWindow);
  for (const std::size_t target : {1U, 50U, 1000U, 1U << 20}) {
    for (const Position& from : positions(decoders, path, target)) {
      REQUIRE(from.frame.raw_offset <= from.offset);
      Result<Opened> opened = decoders.open(path, Compression::kAuto, from);
      REQUIRE(opened);
      LineReader lines(*opened->source, kHeap, {kWindow, from});
      Result<std::optional<Chunk>> chunk = lines.next(1 << 20);
      REQUIRE(chunk);
      const std::string_view rest = std::string_view(raw).substr(from.offset);
      REQUIRE((*chunk ? (*chunk)->payload.view() : "") == rest);
      if (*chunk) CHECK((*chunk)->first_line == from.line);
    }
  }
}

std::string numbered(int from, int to) {
  std::string out;
  for (int i = from; i < to; ++i) out += "{\"n\":" + std::to_string(i) + "}\n";
  return out;
}

}  // namespace

TEST_CASE("what has no magic is plain") {
  CHECK(read_bytes("{}\n").bytes == "{}\n");
  CHECK(read_bytes("{}\n").compression == Compression::kNone);
  CHECK(read_bytes("\x28\xB5").bytes == "\x28\xB5");
}

TEST_CASE("compression is told by the first bytes") {
  CHECK(read_bytes(test::zstd("abc")).compression == Compression::kZstd);
  CHECK(read_bytes(test::skippable("x") + test::zstd("abc")).compression == Compression::kZstd);
  CHECK(read_bytes(test::gzip("abc")).compression == Compression::kGzip);
}

TEST_CASE("the config may force what the bytes do not say") {
  const std::string frame = test::zstd("abc");
  CHECK(read_bytes(frame, Compression::kNone).bytes == frame);
  const Read zstd = read_bytes("plain text", Compression::kZstd);
  CHECK(zstd.fault == Fault::kReject);
  CHECK(has(zstd.error, "expected a zstd frame"));
  const Read gzip = read_bytes("plain text", Compression::kGzip);
  CHECK(has(gzip.error, "expected a gzip member"));
  CHECK(has(gzip.error, "offset 0"));
  CHECK(has(read_bytes(std::string(20, '\0'), Compression::kGzip).error, "expected a gzip member"));
}

TEST_CASE("an empty file is empty, whatever the compression") {
  for (const Compression compression :
       {Compression::kAuto, Compression::kNone, Compression::kZstd, Compression::kGzip}) {
    const Read read = read_bytes("", compression);
    CHECK(read.bytes.empty());
    CHECK(read.error == "");
  }
}

TEST_CASE("a file larger than every buffer is read whole") {
  const std::string raw = test::noise(3'000'000);
  for (const std::size_t capacity : {1000U, 65536U, 5'000'000U}) {
    CHECK(read_bytes(raw, Compression::kAuto, kWindow, capacity).bytes == raw);
    CHECK(read_bytes(test::zstd(raw, true), Compression::kAuto, kWindow, capacity).bytes == raw);
    CHECK(read_bytes(test::gzip(raw), Compression::kAuto, kWindow, capacity).bytes == raw);
  }
}

TEST_CASE("one byte at a time is the same") {
  const std::string raw = test::noise(3000);
  CHECK(read_bytes(test::zstd(raw) + test::zstd(raw), Compression::kAuto, kWindow, 1).bytes == raw + raw);
  CHECK(read_bytes(test::gzip(raw) + test::gzip(raw), Compression::kAuto, kWindow, 1).bytes == raw + raw);
}

TEST_CASE("zstd frames follow each other, with empty and skippable ones anywhere") {
  const std::string file = test::skippable("first") + test::zstd("") + test::zstd("ab") +
                           test::skippable("") + test::skippable(std::string(600'000, 's')) +
                           test::zstd("cd", true) + test::zstd("") + test::skippable("last");
  const Read read = read_bytes(file);
  CHECK(read.error == "");
  CHECK(read.bytes == "abcd");
}

TEST_CASE("bytes between zstd frames are refused with their offset, after what is before them") {
  const std::string frame = test::zstd("abc");
  for (const std::string garbage : {"g", "garbage", "garbage that is longer than any frame header"}) {
    const Read read = read_bytes(frame + garbage + frame);
    CHECK(read.bytes == "abc");
    CHECK(read.fault == Fault::kReject);
    CHECK(has(read.error, "offset " + std::to_string(frame.size())));
  }
}

TEST_CASE("a zstd file cut anywhere gives a prefix and then an error, and never a clean end") {
  const std::string raw = test::noise(5000);
  const std::string frame = test::zstd(raw, true, 0, true);
  for (std::size_t size = 1; size < frame.size(); size += size < 40 ? 1 : 97) {
    const Read read = read_bytes(frame.substr(0, size), Compression::kZstd);
    CHECK(read.fault == Fault::kReject);
    CHECK(raw.starts_with(read.bytes));
  }
}

TEST_CASE("a zstd file that ends in the middle delivers every whole block") {
  const std::string raw = test::noise(1'000'000);
  const std::string frame = test::zstd(raw, true);
  const Read read = read_bytes(frame.substr(0, frame.size() - 1));
  CHECK(has(read.error, "ends in the middle of a zstd frame"));
  CHECK(has(read.error, "offset " + std::to_string(frame.size() - 1)));
  CHECK(read.bytes.size() >= raw.size() - 131072);
  CHECK(raw.starts_with(read.bytes));
}

// ZSTD_decompressStream reports no output in the call that fails: all of it was lost with a buffer full of
// input.
TEST_CASE("damage in a late zstd block costs no block before it") {
  const std::string raw = test::noise(1'000'000);
  std::string frame = test::zstd(raw, true, 0, true);
  frame[frame.size() - 1] = static_cast<char>(frame.back() ^ 1);  // the checksum
  const Read wrong_sum = read_bytes(frame, Compression::kAuto, kWindow, 2 << 20);
  CHECK(wrong_sum.bytes == raw);
  CHECK(wrong_sum.fault == Fault::kReject);
  CHECK(has(wrong_sum.error, "damaged zstd data"));
}

TEST_CASE("a block of a reserved type costs no block before it") {
  const std::string raw = test::noise(1'000'000);
  const std::string frame = test::zstd(raw, true);
  const auto byte = [&](std::size_t at) { return static_cast<unsigned char>(frame[at]); };
  std::size_t blocks = 0;
  // RFC 8878: magic, descriptor and window are 6 bytes; a block header is 3: last (1 bit), type (2), size.
  for (std::size_t at = 6; at + 3 < frame.size(); ++blocks) {
    std::string damaged = frame;
    damaged[at] = static_cast<char>(byte(at) | 6);
    const Read read = read_bytes(damaged, Compression::kAuto, kWindow, 2 << 20);
    CHECK(read.bytes == raw.substr(0, blocks * 131072));
    CHECK(read.fault == Fault::kReject);
    at += 3 + (byte(at) >> 3 | std::size_t{byte(at + 1)} << 5 | std::size_t{byte(at + 2)} << 13);
  }
  CHECK(blocks == 8);
}

TEST_CASE("a damaged frame behind good ones costs none of them") {
  const std::string good = test::zstd("good\n");
  const Read read = read_bytes(good + good + test::zstd(test::noise(100)).substr(0, 20) + good);
  CHECK(read.bytes.starts_with("good\ngood\n"));
  CHECK(read.fault == Fault::kReject);
}

TEST_CASE("a frame that needs more window than allowed is refused, and says which key to set") {
  const std::string frame = test::zstd(test::noise(100'000), true, 21);
  CHECK(read_bytes(frame, Compression::kAuto, 2 << 20).error == "");
  const Read read = read_bytes(test::zstd("ok") + frame, Compression::kAuto, 1 << 20);
  CHECK(read.bytes == "ok");
  CHECK(read.fault == Fault::kReject);
  CHECK(has(read.error, "limits.zstd_window"));
  CHECK(has(read.error, "2097152"));
  CHECK(has(read.error, "2048KiB"));
}

TEST_CASE("a single-segment frame counts with its content as window") {
  const std::string raw = test::noise(300'000);
  const std::string frame = test::zstd(raw, false, 19);
  CHECK(has(read_bytes(frame, Compression::kAuto, 100'000).error, "limits.zstd_window"));
  CHECK(read_bytes(frame, Compression::kAuto, 1 << 20).bytes == raw);
}

TEST_CASE("a window between two powers of two is as good as its number") {
  const std::string raw = test::noise(300'000);
  CHECK(read_bytes(test::zstd(raw), Compression::kAuto, 300'000).bytes == raw);
  CHECK(has(read_bytes(test::zstd(raw), Compression::kAuto, 299'999).error, "limits.zstd_window"));
}

TEST_CASE("the window of a small frame is told to the byte, whatever the width of its size field") {
  for (const std::size_t size : {200U, 1000U, 70'000U}) {
    const std::string frame = test::zstd(test::noise(size), false, 17);
    CHECK(read_bytes(frame, Compression::kAuto, size).error == "");
    CHECK(has(read_bytes(frame, Compression::kAuto, size - 1).error, std::to_string(size) + " bytes"));
  }
}

TEST_CASE("gzip members follow each other, empty ones too, and zeros behind the last are padding") {
  const std::string file = test::gzip("ab") + test::gzip("") + test::gzip("cd");
  CHECK(read_bytes(file).bytes == "abcd");
  const Read padded = read_bytes(file + std::string(1, '\0'));
  CHECK(padded.bytes == "abcd");
  CHECK(padded.error == "");
  CHECK(read_bytes(file + std::string(700'000, '\0')).error == "");
}

TEST_CASE("other bytes behind a gzip member are refused with their offset") {
  const std::string member = test::gzip("abc");
  for (const std::string& garbage : {std::string("g"), std::string("garbage"), std::string("\x1f"),
                                     std::string(5, '\0') + "g", std::string(5, '\0') + member}) {
    const Read read = read_bytes(member + garbage);
    CHECK(read.bytes == "abc");
    CHECK(read.fault == Fault::kReject);
    const std::size_t zeros = garbage[0] == '\0' ? 5 : 0;
    CHECK(has(read.error, "offset " + std::to_string(member.size() + zeros)));
  }
}

TEST_CASE("a gzip file cut anywhere gives a prefix and then an error") {
  const std::string raw = test::noise(5000);
  const std::string member = test::gzip(raw);
  for (std::size_t size = 1; size < member.size(); size += 13) {
    const Read read = read_bytes(member.substr(0, size), Compression::kGzip);
    CHECK(read.fault == Fault::kReject);
    CHECK(raw.starts_with(read.bytes));
  }
  CHECK(has(read_bytes(member.substr(0, member.size() - 1)).error, "ends in the middle of a gzip member"));
}

TEST_CASE("damaged gzip data is refused after what decodes") {
  const std::string raw = test::noise(500'000);
  std::string member = test::gzip(raw);
  member[member.size() - 5] = static_cast<char>(member[member.size() - 5] ^ 1);  // the CRC
  const Read read = read_bytes(member);
  CHECK(read.bytes == raw);
  CHECK(has(read.error, "damaged gzip data"));
}

TEST_CASE("an error and an end come again when asked again") {
  TempFolder folder;
  Decoders decoders(kWindow);
  Result<Opened> broken = decoders.open(folder.write("a", test::zstd("abc") + "g"), Compression::kAuto, {});
  char buffer[16];
  CHECK(*broken->source->read(buffer, 16) == 3);
  CHECK_FALSE(broken->source->read(buffer, 16));
  CHECK_FALSE(broken->source->read(buffer, 16));
  broken = decoders.open(folder.write("b", test::gzip("")), Compression::kAuto, {});
  CHECK(*broken->source->read(buffer, 16) == 0);
  CHECK(*broken->source->read(buffer, 16) == 0);
}

TEST_CASE("one set of decoders reads file after file, also after a broken one") {
  TempFolder folder;
  Decoders decoders(kWindow);
  const std::string good = folder.write("good", test::zstd(test::noise(200'000)));
  const std::string bad = folder.write("bad", test::zstd(test::noise(200'000)).substr(0, 90'000));
  for (int i = 0; i < 3; ++i) {
    CHECK(test::drain(*decoders.open(bad, Compression::kAuto, {})->source).error != "");
    CHECK(test::drain(*decoders.open(good, Compression::kAuto, {})->source).bytes == test::noise(200'000));
  }
}

TEST_CASE("reading continues from every position of a plain file") {
  check_resume(numbered(0, 300), numbered(0, 300));
}

TEST_CASE("reading continues from every position of a zstd file, whatever its frames") {
  std::string lines;
  std::string halves = test::skippable("s");
  std::string tiny;
  for (int i = 0; i < 300; i += 30) lines += test::zstd(numbered(i, i + 30));
  const std::string raw = numbered(0, 300);
  for (std::size_t at = 0; at < raw.size(); at += 700)
    halves += test::zstd(raw.substr(at, 700)) + test::zstd("");
  for (std::size_t at = 0; at < raw.size(); at += 3) tiny += test::zstd(raw.substr(at, 3));
  check_resume(lines, raw);
  check_resume(halves, raw);
  check_resume(tiny, raw);
}

TEST_CASE("reading continues from every position of a gzip file") {
  const std::string raw = numbered(0, 300);
  std::string members;
  for (std::size_t at = 0; at < raw.size(); at += 700) members += test::gzip(raw.substr(at, 700));
  check_resume(members + std::string(100, '\0'), raw);
}

TEST_CASE("a position at the end of a frame begins with the next frame, and does not decode the one before") {
  TempFolder folder;
  Decoders decoders(kWindow);
  const std::string first = test::zstd(numbered(0, 10));
  const std::string path = folder.write("source", first + test::zstd(numbered(10, 20)));
  Result<Opened> opened = decoders.open(path, Compression::kAuto, {});
  LineReader lines(*opened->source, kHeap, {});
  const Chunk chunk = std::move(**lines.next(numbered(0, 10).size()));
  CHECK(chunk.frame == FrameMark{first.size(), numbered(0, 10).size()});
}

TEST_CASE("opening what is no readable file says what it is") {
  TempFolder folder;
  Decoders decoders(kWindow);
  const Result<Opened> missing = decoders.open(folder / "missing", Compression::kAuto, {});
  CHECK(missing.error().fault == Fault::kReject);
  CHECK(has(missing.error().text, "No such file"));
  CHECK(has(missing.error().text, folder / "missing"));
  CHECK(has(decoders.open(folder.folder("f"), Compression::kAuto, {}).error().text, "Is a directory"));
  REQUIRE(::mkfifo((folder / "pipe").c_str(), 0600) == 0);
  CHECK(has(decoders.open(folder / "pipe", Compression::kAuto, {}).error().text, "not a regular file"));
}

TEST_CASE("a file that is truncated while it is read is an error, not an end") {
  TempFolder folder;
  Decoders decoders(kWindow);
  const std::string path = folder.write("source", numbered(0, 100));
  Result<Opened> opened = decoders.open(path, Compression::kAuto, {});
  char buffer[64];
  REQUIRE(*opened->source->read(buffer, 64) == 64);
  std::filesystem::resize_file(path, 70);
  const Decoded rest = test::drain(*opened->source);
  CHECK(rest.bytes.size() == 6);
  CHECK(rest.fault == Fault::kReject);
  CHECK(has(rest.error, "truncated while it was read"));
}

TEST_CASE("the faults of a mount that is unavailable are to be tried again, others are not") {
  for (const int error : {ESTALE, EIO, ENOTCONN, ETIMEDOUT, EHOSTDOWN})
    CHECK(fault_of(error) == Fault::kRetry);
  for (const int error : {EISDIR, EACCES, ENOENT, ELOOP}) CHECK(fault_of(error) == Fault::kReject);
  const Error error = io_error("read", "/mnt/a", 17, ESTALE);
  CHECK(error.text == "cannot read /mnt/a at offset 17: Stale file handle");
}
