#include "workers/reader/read_ahead.h"

#include <doctest/doctest.h>
#include <poll.h>

#include <atomic>
#include <string>
#include <thread>

#include "tests/unit/reader/events.h"
#include "tests/unit/reader/files.h"
#include "tests/unit/reader/lines.h"

using namespace leat;
using namespace leat::reader;
using namespace leat::reader::test;

TEST_CASE("a run lists, reads all files in path order and ends") {
  TempFolder folder;
  folder.write("b.jsonl", "b\n");
  folder.write("a.jsonl", "1\n2\n3");
  folder.write("c.jsonl", "");
  folder.write("d.jsonl.zst", test::zstd("d\n"));
  ReadAhead ahead(options(folder / "*.jsonl*"));
  CHECK(all(ahead) == Texts{"listed 4 " + std::to_string(7 + test::zstd("d\n").size()), "opened 1 a.jsonl",
                            "chunk 1 1\n2\n3\n", "ended 1 at 4 5", "opened 2 b.jsonl", "chunk 2 b\n",
                            "ended 2 at 2 2", "opened 3 c.jsonl", "ended 3 at 1 0", "opened 4 d.jsonl.zst",
                            "chunk 4 d\n", "ended 4 at 2 2", "end"});
  CHECK_FALSE(ahead.try_pop());
  CHECK(ahead.status().doing == ReadAhead::Doing::kEnded);
  CHECK(ahead.status().consumed_bytes == 7 + test::zstd("d\n").size());
}

TEST_CASE("the descriptor is readable exactly while there is an event") {
  TempFolder folder;
  ReadAhead ahead(options(folder / "*"));
  CHECK(wait_text(ahead) == "listed 0 0");
  CHECK(wait_text(ahead) == "end");
  pollfd ready{ahead.fd(), POLLIN, 0};
  CHECK(::poll(&ready, 1, 0) == 0);
}

TEST_CASE("what is skipped of a listing is told with it") {
  TempFolder folder;
  ReadAhead ahead(options(folder / "no.jsonl"));
  const Event event = wait(ahead);
  REQUIRE(std::get<Listed>(event).skipped.size() == 1);
  CHECK(std::get<Listed>(event).skipped[0].reason == "no such file");
}

TEST_CASE("a broken file fails after its good lines, and the next one is read") {
  TempFolder folder;
  folder.write("a.zst", test::zstd("a\nhalf") + "garbage");
  folder.write("b.zst", test::zstd("b\n"));
  ReadAhead ahead(options(folder / "*"));
  (void)wait(ahead);
  CHECK(all(ahead) == Texts{"opened 1 a.zst", "chunk 1 a\n", "failed 1 at 2", "opened 2 b.zst", "chunk 2 b\n",
                            "ended 2 at 2 2", "end"});
}

TEST_CASE("a file that cannot be opened fails alone") {
  TempFolder folder;
  folder.write("a", "x\n");
  ReadAhead::Options given = options(folder / "*");
  given.open = [](const std::string&, const Position&) -> Result<Opened> {
    return fail(Fault::kReject, "closed");
  };
  ReadAhead ahead(std::move(given));
  CHECK(all(ahead) == Texts{"listed 1 2", "failed 1 at 0, again", "end"});
}

TEST_CASE("a file that grows while it is read is read to its end, and told") {
  TempFolder folder;
  const std::string path = folder.write("a", "1\n2\n3\n");
  ReadAhead::Options given = options(folder / "*");
  given.target_bytes = 2;
  given.queue_events = 2;  // the thread cannot be at the end yet
  ReadAhead ahead(std::move(given));
  CHECK(wait_text(ahead) == "listed 1 6");
  CHECK(wait_text(ahead) == "opened 1 a");
  std::ofstream(path, std::ios::app) << "4\n";
  std::optional<SourceEnded> ended;
  Texts events;
  do {
    const Event event = wait(ahead);
    events.push_back(text(event));
    if (const auto* e = std::get_if<SourceEnded>(&event)) ended = *e;
  } while (events.back() != "end");
  CHECK(events ==
        Texts{"chunk 1 1\n", "chunk 1 2\n", "chunk 1 3\n", "chunk 1 4\n", "note", "ended 1 at 5 8", "end"});
  REQUIRE(ended);
  CHECK(ended->file.size == 8);  // so the next run finds it done
}

TEST_CASE("a file that is edited or truncated while it is read is changed") {
  TempFolder folder;
  const std::string path = folder.write("a", "1\n2\n3\n4\n5\n");
  ReadAhead::Options given = options(folder / "*");
  given.target_bytes = 2;
  given.queue_events = 2;
  ReadAhead ahead(std::move(given));
  CHECK(wait_text(ahead) == "listed 1 10");
  CHECK(wait_text(ahead) == "opened 1 a");
  SUBCASE("edited") {
    std::fstream file(path, std::ios::in | std::ios::out);
    file.seekp(8);
    file << "x" << std::flush;
    std::filesystem::last_write_time(path, std::filesystem::last_write_time(path) + 1h);
  }
  SUBCASE("truncated") {
    std::filesystem::resize_file(path, 8);
  }
  CHECK(wait_text(ahead) == "chunk 1 1\n");
  const Texts events = all(ahead);
  CHECK(events[events.size() - 2] == "changed 1");
}

TEST_CASE("a file that is replaced while it is read is read to its end, and told") {
  TempFolder folder;
  const std::string path = folder.write("a", "1\n2\n3\n");
  ReadAhead::Options given = options(folder / "*");
  given.target_bytes = 2;
  given.queue_events = 2;
  ReadAhead ahead(std::move(given));
  CHECK(wait_text(ahead) == "listed 1 6");
  CHECK(wait_text(ahead) == "opened 1 a");
  std::filesystem::rename(folder.write("b", "another\n"), path);
  CHECK(all(ahead) == Texts{"chunk 1 1\n", "chunk 1 2\n", "chunk 1 3\n", "note", "ended 1 at 4 6", "end"});
}

TEST_CASE("a file that is deleted while it is read is read to its end") {
  TempFolder folder;
  const std::string path = folder.write("a", "1\n2\n3\n");
  ReadAhead::Options given = options(folder / "*");
  given.target_bytes = 2;
  given.queue_events = 2;
  ReadAhead ahead(std::move(given));
  CHECK(wait_text(ahead) == "listed 1 6");
  CHECK(wait_text(ahead) == "opened 1 a");
  std::filesystem::remove(path);
  CHECK(all(ahead) == Texts{"chunk 1 1\n", "chunk 1 2\n", "chunk 1 3\n", "ended 1 at 4 6", "end"});
}

TEST_CASE("the thread reads no further ahead than the queue's bound and the chunk in its hands") {
  TempFolder folder;
  folder.write("a", "");
  const std::string path = folder / "a";
  auto delivered = std::make_shared<std::atomic<std::size_t>>(0);
  struct Counting : StringSource {
    Counting(std::string bytes, std::shared_ptr<std::atomic<std::size_t>> count)
        : StringSource(std::move(bytes)), count_(std::move(count)) {}
    Result<std::size_t> read(char* into, std::size_t capacity) override {
      Result<std::size_t> got = StringSource::read(into, capacity);
      *count_ += *got;
      return got;
    }
    std::shared_ptr<std::atomic<std::size_t>> count_;
  };
  constexpr std::size_t kLine = 10'000;
  std::string bytes;
  for (int i = 0; i < 50; ++i) bytes += std::string(kLine - 1, static_cast<char>('a' + i % 26)) + '\n';
  ReadAhead::Options given = options(folder / "*");
  given.target_bytes = kLine;
  given.queue_bytes = 3 * kLine + kLine / 2;
  SUBCASE("a few chunks fit") {}
  SUBCASE("not even one chunk fits") {
    given.queue_bytes = 10;
  }
  const std::size_t bound = std::max<std::size_t>(given.queue_bytes, kLine) + kLine;
  given.open = [=](const std::string& name, const Position&) -> Result<Opened> {
    return Opened{std::make_unique<Counting>(bytes, delivered), config::Compression::kNone,
                  File{name, 0, 1, 1}};
  };
  ReadAhead ahead(std::move(given));
  (void)wait(ahead);
  (void)wait(ahead);
  std::string got;
  for (int i = 0; i < 50; ++i) {
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::milliseconds(kDeadlineMs);
    while (ahead.status().doing != ReadAhead::Doing::kBlocked && *delivered < bytes.size()) {
      REQUIRE(std::chrono::steady_clock::now() < deadline);
      std::this_thread::yield();
    }
    CHECK(*delivered - got.size() <= bound);
    got += std::get<SourceChunk>(wait(ahead)).chunk.payload.view();
  }
  CHECK(got == bytes);
}

TEST_CASE("the target can be changed while reading") {
  TempFolder folder;
  std::string bytes;
  for (int i = 0; i < 1000; ++i) bytes += "0123456\n";
  folder.write("a", bytes);
  ReadAhead::Options given = options(folder / "*");
  given.target_bytes = 8;
  given.queue_events = 1;
  ReadAhead ahead(std::move(given));
  (void)wait(ahead);
  (void)wait(ahead);
  ahead.set_target(4000);
  std::string got;
  std::size_t largest = 0;
  for (;;) {
    const Event event = wait(ahead);
    const auto* chunk = std::get_if<SourceChunk>(&event);
    if (chunk == nullptr) break;
    largest = std::max(largest, chunk->chunk.payload.size());
    got += chunk->chunk.payload.view();
  }
  CHECK(got == bytes);
  CHECK(largest == 4000);
}

TEST_CASE("a stop ends the run after what is queued") {
  TempFolder folder;
  folder.write("a", "1\n2\n3\n");
  ReadAhead::Options given = options(folder / "*");
  given.target_bytes = 2;
  given.queue_events = 2;
  ReadAhead ahead(std::move(given));
  CHECK(wait_text(ahead) == "listed 1 6");
  CHECK(wait_text(ahead) == "opened 1 a");
  CHECK(wait_text(ahead) == "chunk 1 1\n");
  ahead.request_stop();
  CHECK(all(ahead).back() == "stopped");
}

TEST_CASE("following takes files as they settle, until it is stopped") {
  TempFolder folder;
  folder.write("a", "a\n");
  ReadAhead::Options given = options(folder / "*");
  given.follow = true;
  ReadAhead ahead(std::move(given));
  CHECK(wait_text(ahead) == "listed 1 2");
  CHECK(wait_text(ahead) == "opened 1 a");
  CHECK(wait_text(ahead) == "chunk 1 a\n");
  CHECK(wait_text(ahead) == "ended 1 at 2 2");
  folder.write("b.part", "b\n");
  std::filesystem::rename(folder / "b.part", folder / "b");
  CHECK(wait_text(ahead) == "opened 2 b");
  CHECK(wait_text(ahead) == "chunk 2 b\n");
  CHECK(wait_text(ahead) == "ended 2 at 2 2");
  ahead.request_stop();
  CHECK(wait_text(ahead) == "stopped");
}
