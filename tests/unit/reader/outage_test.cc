// What ReadAhead does when the mount is unavailable.
#include <doctest/doctest.h>

#include <condition_variable>
#include <mutex>
#include <string>

#include "tests/unit/reader/events.h"
#include "tests/unit/reader/files.h"
#include "tests/unit/reader/lines.h"
#include "workers/reader/read_ahead.h"

using namespace leat;
using namespace leat::reader;
using namespace leat::reader::test;

namespace {

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
  CHECK(events == Texts{"opened 1 a", "chunk 1 1\n2\n", "chunk 1 half\n4\n", "ended 1 at 5 11", "end"});
  CHECK(script->positions ==
        std::vector<Position>{{}, {}, {3, 4, {}, mark_of("1\n2\n")}, {3, 4, {}, mark_of("1\n2\n")}});
  CHECK(ahead.status().fault == "");
}

TEST_CASE("a source that fails for too long while its path answers is failed, the others continue") {
  TempFolder folder;
  folder.write("a", "");
  auto script = std::make_shared<Script>();
  script->opens = {"1\n"};
  script->errors = {kAway};
  ReadAhead::Options given = options(folder / "*");
  given.open = play(script);
  given.source.give_up = 3ms;
  ReadAhead ahead(std::move(given));
  CHECK(wait_text(ahead) == "listed 1 0");
  CHECK(all(ahead) == Texts{"opened 1 a", "chunk 1 1\n", "failed 1 at 2, again", "end"});
}

TEST_CASE("a mount that fails often but lets lines through in between is not given up") {
  TempFolder folder;
  folder.write("a", "");
  ReadAhead::Options given = options(folder / "*");
  given.backoff = given.max_backoff = 15ms;
  given.source.give_up = 300ms;
  given.open = [bytes = std::string(), left = 30](const std::string& path,
                                                  const Position&) mutable -> Result<Opened> {
    bytes += "x\n";
    auto source = std::make_unique<StringSource>(bytes);
    if (--left > 0) source->error = kAway;
    return Opened{std::move(source), config::Compression::kNone, File{path, 100, 1, 1}};
  };
  ReadAhead ahead(std::move(given));
  const Texts events = all(ahead);
  CHECK(events.size() == 34);
  CHECK(events[32] == "ended 1 at 31 60");
}

TEST_CASE("an outage longer than the patience ends a run with an error") {
  TempFolder folder;
  const std::string path = folder.write("a", "");
  ReadAhead::Options given = options(folder / "*");
  given.source.give_up = 3ms;
  given.open = [](const std::string& opened, const Position&) -> Result<Opened> {
    std::filesystem::remove(opened);
    return tl::unexpected(kAway);
  };
  ReadAhead ahead(std::move(given));
  CHECK(all(ahead) == Texts{"listed 1 0", "end: away"});
}

TEST_CASE("a file that cannot be found while the mount is in fault is not gone") {
  TempFolder folder;
  const std::string path = folder.write("a", "");
  ReadAhead::Options given = options(folder / "*");
  given.open = [tries = 0](const std::string& opened, const Position&) mutable -> Result<Opened> {
    tries += 1;
    if (tries == 1) std::filesystem::remove(opened);
    if (tries == 1) return tl::unexpected(kAway);
    if (tries < 4) return fail(Fault::kReject, "no such file");
    return Opened{std::make_unique<StringSource>("1\n"), config::Compression::kNone, File{opened, 100, 1, 1}};
  };
  ReadAhead ahead(std::move(given));
  CHECK(all(ahead) == Texts{"listed 1 0", "opened 1 a", "chunk 1 1\n", "ended 1 at 2 2", "end"});
}

TEST_CASE("a file that is another one after an outage is changed") {
  TempFolder folder;
  folder.write("a", "");
  ReadAhead::Options given = options(folder / "*");
  std::string wrong;
  SUBCASE("shorter") {
    given.open = [size = std::uint64_t{5}](const std::string& path,
                                           const Position&) mutable -> Result<Opened> {
      auto source = std::make_unique<StringSource>("1\n");
      source->error = kAway;
      return Opened{std::move(source), config::Compression::kNone, File{path, size--, 1, 1}};
    };
    wrong = "it was truncated during an outage: it had 5 bytes and has 4";
  }
  SUBCASE("written to") {
    given.open = [time = std::int64_t{5}](const std::string& path,
                                          const Position&) mutable -> Result<Opened> {
      auto source = std::make_unique<StringSource>("1\n");
      source->error = kAway;
      return Opened{std::move(source), config::Compression::kNone, File{path, 2, time++, 1}};
    };
    wrong = "it was written to during an outage";
  }
  SUBCASE("other bytes before the place") {
    given.open = [size = std::uint64_t{5}](const std::string& path,
                                           const Position&) mutable -> Result<Opened> {
      auto source = std::make_unique<StringSource>(size == 5 ? "1\n" : "2\n");
      source->error = kAway;
      return Opened{std::move(source), config::Compression::kNone, File{path, size++, 1, 1}};
    };
    wrong = "the 2 bytes before offset 2 are not those that were read";
  }
  ReadAhead ahead(std::move(given));
  CHECK(wait_text(ahead) == "listed 1 0");
  CHECK(wait_text(ahead) == "opened 1 a");
  CHECK(wait_text(ahead) == "chunk 1 1\n");
  const Event event = wait(ahead);
  REQUIRE(std::holds_alternative<SourceChanged>(event));
  const std::string path = folder / "a";
  CHECK(std::get<SourceChanged>(event).reason ==
        path + ": " + wrong + "; it was read up to line 1, offset 2. `leat run --reread " + path +
            "` reads it again from its start");
  CHECK(wait_text(ahead) == "end");
}

TEST_CASE("without its mount nothing is listed, and the status says what is waited for") {
  TempFolder folder;
  folder.write("a", "1\n");
  ReadAhead::Options given = options(folder / "*");
  given.source.require_mount = folder / "";
  given.source.give_up = 50ms;
  ReadAhead ahead(std::move(given));
  const Event event = wait(ahead);
  REQUIRE(std::holds_alternative<End>(event));
  CHECK(std::get<End>(event).error->text.find("nothing is mounted there") != std::string::npos);
  CHECK(std::get<End>(event).error->exit_code == kExitIo);
  CHECK(ahead.status().fault.find("nothing is mounted there") != std::string::npos);
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
    explicit Farewell(std::shared_ptr<Gate> opens)
        : gate(std::move(opens)) {}  // clang 14 needs it for make_shared
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
