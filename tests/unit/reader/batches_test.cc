#include "workers/reader/batches.h"

#include <doctest/doctest.h>
#include <fmt/format.h>

#include <string>

#include "tests/unit/reader/files.h"
#include "tests/unit/reader/lines.h"

using namespace leat;
using namespace leat::reader;
using namespace leat::reader::test;
using proto::BatchKind;

namespace {

proto::Batch only(Event event) {
  Batches batches(1, 2, 100, kHeap);
  batches.take(std::move(event));
  std::optional<proto::Batch> batch = batches.next(1000);
  REQUIRE(batch);
  CHECK_FALSE(batches.next(1000));
  CHECK(batch->header().epoch == 2);
  return std::move(*batch);
}

const File kFile{"/in/a", 8, 5, 0, {7, 3}};
const Position kPlace{3, 4, {1, 2}, {6, 2}, true};

void check_place(const proto::Header& header) {
  CHECK(header.end_line == 2);
  CHECK(header.end_offset == 4);
  CHECK(header.frame_offset == 1);
  CHECK(header.frame_raw_offset == 2);
  CHECK(header.tail_hash == 6);
  CHECK(header.tail_bytes == 2);
  CHECK(header.flags == proto::Header::kUnterminated);
}

}  // namespace

TEST_CASE("events carry the place, and the rest as JSON") {
  const proto::Batch opened = only(SourceOpened{9, kFile, config::Compression::kZstd, kPlace});
  CHECK(opened.header().kind == BatchKind::kSourceOpened);
  CHECK(opened.header().source == 9);
  check_place(opened.header());
  CHECK(opened.records() ==
        R"({"path":"/in/a","size":8,"mtime_ns":5,"head_bytes":3,"head_hash":7,"compression":"zstd"})");
  const proto::Batch ended = only(SourceEnded{9, kFile, kPlace});
  check_place(ended.header());
  CHECK(ended.records() == R"({"path":"/in/a","size":8,"mtime_ns":5,"lines":2,"bytes":4})");
  const proto::Batch failed = only(SourceFailed{9, "/in/a", kPlace, "why", true});
  check_place(failed.header());
  CHECK(failed.records() == R"({"path":"/in/a","offset":4,"reason":"why","retry":true})");
  CHECK(only(SourceChanged{9, "/in/a", "why"}).records() == R"({"path":"/in/a","reason":"why"})");
  const proto::Batch moved = only(SourceMoved{9, "/in/b", "/in/a"});
  CHECK(moved.header().kind == BatchKind::kSourceMoved);
  CHECK(moved.records() == R"({"path":"/in/b","from":"/in/a"})");
  const proto::Batch finished = only(SourceFinished{9, "/in/a", "move", "/out/a", ""});
  CHECK(finished.header().kind == BatchKind::kSourceFinished);
  CHECK(finished.records() == R"({"path":"/in/a","action":"move","to":"/out/a","reason":""})");
  CHECK(only(InputRead{}).header().kind == BatchKind::kInputRead);
  const proto::Batch presence = only(Presence{{{3, 4}, {5}, true, false}});
  CHECK(presence.header().kind == BatchKind::kPresence);
  CHECK(presence.header().source == 0);
  CHECK(presence.records() == R"({"absent":[3,4],"present":[5],"whole":true,"believed":false})");
  CHECK(Batches(1, 2, 100, kHeap).end_of_input(true, 5).records() == R"({"stopped":true,"done":5})");
}

TEST_CASE(
    "a chunk that is cut has a tail at each piece's end, and no frame later than the last that is known") {
  std::string bytes;
  for (int i = 0; i < 3000; ++i) bytes += fmt::format("{{\"line\":{:04}}}\n", i);
  bytes += "the last";
  StringSource source(bytes);
  LineReader lines(source, kHeap, {1000, {}});
  Batches batches(1, 2, 1000, kHeap);
  batches.take(SourceOpened{1, kFile, config::Compression::kNone, {}});
  CHECK(batches.next(1));
  std::uint64_t offset = 0;
  for (;;) {
    Result<std::optional<Chunk>> chunk = lines.next(20'000);
    REQUIRE(chunk);
    if (!*chunk) break;
    const std::uint64_t begin = offset;
    batches.take(SourceChunk{1, std::move(**chunk)});
    while (const std::optional<proto::Batch> batch = batches.next(5'000)) {
      const proto::Header& header = batch->header();
      CHECK(header.first_offset == offset);
      offset = header.end_offset;
      REQUIRE(header.tail_bytes >= std::min<std::uint64_t>(offset - begin, kTailBytes));
      CHECK(mark_of(bytes.substr(offset - header.tail_bytes, header.tail_bytes)) ==
            Mark{header.tail_hash, header.tail_bytes});
      CHECK((header.flags == proto::Header::kUnterminated) == (offset == bytes.size()));
    }
  }
  CHECK(offset == bytes.size());
}
