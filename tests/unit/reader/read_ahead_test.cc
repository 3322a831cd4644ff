#include "workers/reader/read_ahead.h"

#include <doctest/doctest.h>
#include <poll.h>

#include <atomic>
#include <condition_variable>
#include <mutex>
#include <string>
#include <thread>

#include "tests/unit/reader/files.h"
#include "tests/unit/reader/lines.h"

using namespace leat;
using namespace leat::reader;
using namespace std::chrono_literals;
using test::StringSource;
using test::TempFolder;

namespace {

constexpr int kDeadlineMs = 20'000;

ReadAhead::Options options(const std::string& glob) {
  ReadAhead::Options given;
  given.source.paths = {glob};
  given.source.poll = 1ms;
  given.source.settle = 0ms;
  given.backoff = 1ms;
  given.max_backoff = 2ms;
  return given;
}

Event wait(ReadAhead& ahead) {
  for (;;) {
    if (std::optional<Event> event = ahead.try_pop()) return std::move(*event);
    pollfd ready{ahead.fd(), POLLIN, 0};
    REQUIRE(::poll(&ready, 1, kDeadlineMs) == 1);
  }
}

// An event as a line of text.
std::string text(const Event& event) {
  if (const auto* e = std::get_if<Listed>(&event)) return fmt::format("listed {} {}", e->files, e->bytes);
  if (const auto* e = std::get_if<SourceOpened>(&event)) {
    return fmt::format("opened {} {}", e->id, e->file.path.substr(e->file.path.rfind('/') + 1));
  }
  if (const auto* e = std::get_if<SourceChunk>(&event)) {
    return fmt::format("chunk {} {}", e->id, e->chunk.payload.view());
  }
  if (const auto* e = std::get_if<SourceEnded>(&event)) {
    return fmt::format("ended {} at {} {}", e->id, e->end.line, e->end.offset);
  }
  if (const auto* e = std::get_if<SourceFailed>(&event))
    return fmt::format("failed {} at {}", e->id, e->at.offset);
  if (const auto* e = std::get_if<SourceChanged>(&event)) return fmt::format("changed {}", e->id);
  const auto& end = std::get<End>(event);
  return end.error ? "end: " + end.error->text : end.stopped ? "stopped" : "end";
}

std::string wait_text(ReadAhead& ahead) {
  return text(wait(ahead));
}

std::vector<std::string> all(ReadAhead& ahead) {
  std::vector<std::string> out;
  do {
    out.push_back(wait_text(ahead));
  } while (out.back() != "end" && !out.back().starts_with("end:") && out.back() != "stopped");
  return out;
}

using Texts = std::vector<std::string>;

// Lets a thread wait for a test and the other way round.
class Gate {
 public:
  void open() {
    const std::lock_guard lock(mutex_);
    open_ = true;
    changed_.notify_all();
  }
  void wait() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return open_; });
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  bool open_ = false;
};

// Sources of strings: each open takes the next one.
struct Script {
  std::vector<Result<std::string>> opens;
  std::vector<std::optional<Error>> errors;  // behind the bytes
  std::vector<Position> positions;           // asked for
};

std::function<Result<Opened>(const std::string&, const Position&)> play(std::shared_ptr<Script> script) {
  return [script](const std::string& path, const Position& from) -> Result<Opened> {
    const std::size_t at = std::min(script->positions.size(), script->opens.size() - 1);
    script->positions.push_back(from);
    if (!script->opens[at]) return tl::unexpected(script->opens[at].error());
    auto source = std::make_unique<StringSource>(*script->opens[at]);
    if (at < script->errors.size()) source->error = script->errors[at];
    return Opened{std::move(source), config::Compression::kNone, File{path, 100, 1, 1}};
  };
}

const Error kAway{Fault::kRetry, "away"};

}  // namespace

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

TEST_CASE("what is left out of a listing is told with it") {
  TempFolder folder;
  ReadAhead ahead(options(folder / "no.jsonl"));
  const Event event = wait(ahead);
  REQUIRE(std::get<Listed>(event).skipped.size() == 1);
  CHECK(std::get<Listed>(event).skipped[0].reason == "no such file");
}

TEST_CASE("files that are done are left out, others go on at their position") {
  TempFolder folder;
  folder.write("a.jsonl", "a\n");
  folder.write("b.jsonl", "1\n2\n3\n");
  ReadAhead::Options given = options(folder / "*");
  given.decide = [](const File& file) -> std::optional<Position> {
    if (file.path.ends_with("a.jsonl")) return std::nullopt;
    return Position{2, 2, {}};
  };
  ReadAhead ahead(std::move(given));
  const Event listed = wait(ahead);
  CHECK(std::get<Listed>(listed).files == 1);
  CHECK(std::get<Listed>(listed).done == 1);
  CHECK(all(ahead) == Texts{"opened 1 b.jsonl", "chunk 1 2\n3\n", "ended 1 at 4 6", "end"});
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
  CHECK(all(ahead) == Texts{"listed 1 2", "failed 1 at 0", "end"});
}

TEST_CASE("a file that changes while it is read is read to its end and told") {
  TempFolder folder;
  const std::string path = folder.write("a", "1\n2\n3\n");
  ReadAhead::Options given = options(folder / "*");
  given.target_bytes = 2;
  given.queue_events = 2;  // the thread cannot be at the end yet
  ReadAhead ahead(std::move(given));
  CHECK(wait_text(ahead) == "listed 1 6");
  CHECK(wait_text(ahead) == "opened 1 a");
  folder.write("more", "");
  std::ofstream(path, std::ios::app) << "4\n";
  CHECK(all(ahead) == Texts{"chunk 1 1\n", "chunk 1 2\n", "chunk 1 3\n", "chunk 1 4\n", "ended 1 at 5 8",
                            "changed 1", "end"});
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

TEST_CASE("a fault of the mount is waited out: the file is opened again where it was left") {
  TempFolder folder;
  folder.write("a", "");
  auto script = std::make_shared<Script>();
  script->opens = {fail(Fault::kRetry, "away"), "1\n2\nhal", fail(Fault::kRetry, "away"), "1\n2\nhalf\n4\n"};
  script->errors = {std::nullopt, kAway};
  ReadAhead::Options given = options(folder / "*");
  given.open = play(script);
  ReadAhead ahead(std::move(given));
  CHECK(wait_text(ahead) == "listed 1 0");
  const Texts events = all(ahead);
  CHECK(events ==
        Texts{"opened 1 a", "chunk 1 1\n2\n", "chunk 1 half\n4\n", "ended 1 at 5 11", "changed 1", "end"});
  CHECK(script->positions == std::vector<Position>{{}, {}, {3, 4, {}}, {3, 4, {}}});
  CHECK(ahead.status().trouble == "");
}

TEST_CASE("a source that fails for too long while its path answers is failed, the others go on") {
  TempFolder folder;
  folder.write("a", "");
  auto script = std::make_shared<Script>();
  script->opens = {"1\n"};
  script->errors = {kAway};
  ReadAhead::Options given = options(folder / "*");
  given.open = play(script);
  given.give_up = 3ms;
  ReadAhead ahead(std::move(given));
  CHECK(wait_text(ahead) == "listed 1 0");
  CHECK(all(ahead) == Texts{"opened 1 a", "chunk 1 1\n", "failed 1 at 2", "changed 1", "end"});
}

TEST_CASE("a mount that fails often but lets lines through in between is not given up") {
  TempFolder folder;
  folder.write("a", "");
  ReadAhead::Options given = options(folder / "*");
  given.backoff = given.max_backoff = 15ms;
  given.give_up = 300ms;
  given.open = [bytes = std::string(), left = 30](const std::string& path,
                                                  const Position&) mutable -> Result<Opened> {
    bytes += "x\n";
    auto source = std::make_unique<StringSource>(bytes);
    if (--left > 0) source->error = kAway;
    return Opened{std::move(source), config::Compression::kNone, File{path, 100, 1, 1}};
  };
  ReadAhead ahead(std::move(given));
  const Texts events = all(ahead);
  CHECK(events.size() == 35);
  CHECK(events[32] == "ended 1 at 31 60");
}

TEST_CASE("an outage longer than the patience ends a run with an error") {
  TempFolder folder;
  const std::string path = folder.write("a", "");
  ReadAhead::Options given = options(folder / "*");
  given.give_up = 3ms;
  given.open = [](const std::string& opened, const Position&) -> Result<Opened> {
    std::filesystem::remove(opened);
    return tl::unexpected(kAway);
  };
  ReadAhead ahead(std::move(given));
  CHECK(all(ahead) == Texts{"listed 1 0", "end: away"});
}

TEST_CASE("a file that is another one after an outage is failed") {
  TempFolder folder;
  folder.write("a", "");
  ReadAhead::Options given = options(folder / "*");
  given.open = [size = std::uint64_t{5}](const std::string& path, const Position&) mutable -> Result<Opened> {
    auto source = std::make_unique<StringSource>("1\n");
    source->error = kAway;
    return Opened{std::move(source), config::Compression::kNone, File{path, size++, 1, 1}};
  };
  ReadAhead ahead(std::move(given));
  CHECK(wait_text(ahead) == "listed 1 0");
  CHECK(wait_text(ahead) == "opened 1 a");
  CHECK(wait_text(ahead) == "chunk 1 1\n");
  const Event failed = wait(ahead);
  REQUIRE(std::holds_alternative<SourceFailed>(failed));
  CHECK(std::get<SourceFailed>(failed).reason.find("not the same after an outage") != std::string::npos);
}

TEST_CASE("without its mount nothing is listed, and the status says what is waited for") {
  TempFolder folder;
  folder.write("a", "1\n");
  ReadAhead::Options given = options(folder / "*");
  given.source.require_mount = folder / "";
  given.give_up = 50ms;
  ReadAhead ahead(std::move(given));
  const Event event = wait(ahead);
  REQUIRE(std::holds_alternative<End>(event));
  CHECK(std::get<End>(event).error->text.find("nothing is mounted there") != std::string::npos);
  CHECK(std::get<End>(event).error->exit_code == kExitIo);
  CHECK(ahead.status().trouble.find("nothing is mounted there") != std::string::npos);
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

TEST_CASE("a read() that hangs stops neither the caller nor its end") {
  TempFolder folder;
  const std::string path = folder.write("a", "");
  struct Hanging : StringSource {
    Hanging(std::shared_ptr<Gate> in, std::shared_ptr<Gate> out)
        : StringSource(""), in_(std::move(in)), out_(std::move(out)) {}
    Result<std::size_t> read(char*, std::size_t) override {
      in_->open();
      out_->wait();
      return 0;
    }
    std::shared_ptr<Gate> in_, out_;
  };
  auto in = std::make_shared<Gate>();
  auto out = std::make_shared<Gate>();
  auto gone = std::make_shared<Gate>();
  // The last that the thread drops is what it was given.
  struct Farewell {
    std::shared_ptr<Gate> gate;
    ~Farewell() { gate->open(); }
  };
  ReadAhead::Options given = options(folder / "*");
  given.open = [in, out, farewell = std::make_shared<Farewell>(gone)](const std::string& name,
                                                                      const Position&) -> Result<Opened> {
    return Opened{std::make_unique<Hanging>(in, out), config::Compression::kNone, File{name, 0, 1, 1}};
  };
  {
    ReadAhead ahead(std::move(given));
    in->wait();
    CHECK(wait_text(ahead) == "listed 1 0");
    CHECK(wait_text(ahead) == "opened 1 a");
    CHECK_FALSE(ahead.try_pop());
    CHECK(ahead.status().doing == ReadAhead::Doing::kReading);
    CHECK(ahead.status().path == path);
  }
  out->open();
  gone->wait();
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
  std::ofstream(folder / "a", std::ios::app) << "more\n";
  CHECK(wait_text(ahead) == "changed 0");
  ahead.request_stop();
  CHECK(wait_text(ahead) == "stopped");
}
