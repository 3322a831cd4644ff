// What reaches the disk, in which order, and what one call that fails leaves.
#include <doctest/doctest.h>
#include <fmt/format.h>
#include <unistd.h>

#include <array>
#include <climits>
#include <optional>

#include "tests/unit/writer/die_at.h"
#include "tests/unit/writer/writer.h"

using namespace leat;
using test::kA;
using test::kB;
using test::Script;
using test::Writer;
using Names = std::vector<std::string>;

namespace {

// Off unless a test has said which folders count.
struct Recorder {
  std::vector<std::string> folders;
  Names calls;                 // "write out", the same after each other once
  int count = 0;               // of all calls
  std::optional<int> fail_at;  // the call, from 0
  bool stays = false;          // and all after it
  int failed = 0;
  bool quick = false;  // nothing is really synced: no power is cut here

  bool counts(const std::string& path) const {
    for (const std::string& folder : folders) {
      if (path.starts_with(folder)) return true;
    }
    return false;
  }
  // True: it is to fail.
  bool call(const char* what, const std::string& path) {
    if (!counts(path)) return false;
    std::string name = path.substr(path.rfind('/') + 1);
    for (const std::string& folder : folders) {
      if (path == folder) name = "/";
    }
    std::string text = fmt::format("{} {}", what, name);
    if (calls.empty() || calls.back() != text) calls.push_back(text);
    int number = count++;
    bool fails = fail_at && (number == *fail_at || (stays && number > *fail_at));
    if (fails) ++failed;
    return fails;
  }
  bool call(const char* what, int fd) {
    if (folders.empty()) return false;
    std::array<char, PATH_MAX> path{};
    std::string link = fmt::format("/proc/self/fd/{}", fd);
    ssize_t length = ::readlink(link.c_str(), path.data(), path.size());
    return length > 0 && call(what, std::string(path.data(), static_cast<std::size_t>(length)));
  }
};

Recorder recorder;

test::CallFate on_call(const char* what, int fd, const char* path) {
  if (recorder.folders.empty()) return test::CallFate::kPass;
  bool fails = path == nullptr ? recorder.call(what, fd) : recorder.call(what, std::string(path));
  if (fails) return test::CallFate::kFail;
  // No power is cut here.
  return recorder.quick && std::string_view(what) == "sync" ? test::CallFate::kDone : test::CallFate::kPass;
}

// What was called since the last time, but for reads.
Names taken() {
  Names calls;
  for (std::string& call : recorder.calls) {
    if (call.starts_with("read ")) continue;
    if (calls.empty() || calls.back() != call) calls.push_back(std::move(call));
  }
  recorder.calls.clear();
  return calls;
}

struct Recording {
  explicit Recording(const Writer& writer) {
    recorder.folders = {writer.folder.root(), writer.state.root()};
    test::on_call(on_call);
  }
  ~Recording() {
    test::on_call(nullptr);
    recorder = {};
  }
  Recording(const Recording&) = delete;
  Recording& operator=(const Recording&) = delete;
};

// A run to its end, or until something fails: what the process would end with.
std::optional<Error> attempt(Writer& writer, const std::string& run) {
  writer.stage.reset();
  writer.ledger.reset();
  auto opened = ledger::Ledger::open(writer.state.root(), "p");
  if (!opened) return opened.error();
  writer.ledger.emplace(std::move(*opened));
  writer.stage.emplace(writer.pipeline, *writer.ledger, writer::RunOptions{.run = run},
                       [](const std::string&) {});
  auto epoch = writer.stage->begin();
  if (!epoch) return epoch.error();
  if (auto recovered = writer.stage->recover(); !recovered) return recovered.error();
  std::optional<Error> error;
  try {
    leat::test::play(writer.ledger->view(), *epoch, {kA, kB}, 9, [&](const proto::Batch& batch) {
      auto done = writer.stage->apply(batch);
      if (done) done = writer.stage->commit();
      if (!done) error = done.error();
      return done.has_value();
    });
  } catch (const tl::bad_expected_access<Error>& unread) {
    return unread.error();
  }
  if (error) return error;
  auto finished = writer.stage->finish();
  return finished ? std::nullopt : std::optional(finished.error());
}

}  // namespace

TEST_CASE("data is on the disk before the ledger says so, and the ledger before a name") {
  Writer writer("out");
  writer.start();
  Script script(writer.epoch);
  Recording recording(writer);
  writer.apply(script.opened(1, kA));
  writer.apply(script.records(1, kA, 1, 6));
  taken();
  writer.commit();
  CHECK(taken() == Names{"write .out.leat-tmp", "sync .out.leat-tmp", "sync /", "write dead", "sync dead",
                         "write ledger.db-wal", "sync ledger.db-wal"});
  writer.apply(script.records(1, kA, 7, kA.lines));
  writer.apply(script.ended(1, kA));
  writer.apply(script.end_of_input());
  taken();
  writer.finish();
  CHECK(taken() == Names{"write .out.leat-tmp", "sync .out.leat-tmp", "write dead", "sync dead",
                         "write ledger.db-wal", "sync ledger.db-wal", "name out", "sync /",
                         "write ledger.db-wal", "sync ledger.db-wal"});
}

TEST_CASE("whichever read, write, sync or rename fails, once or from then on, the next runs end right") {
  for (const char* sink : {"out", "{stem}.zst"}) {
    for (bool stays : {false, true}) {
      bool all = false;
      for (int at = 0; !all; ++at) {
        REQUIRE(at < 1000);
        Writer writer(sink);
        writer.pipeline.sink.compression =
            sink[0] == '{' ? config::Compression::kZstd : config::Compression::kNone;
        CAPTURE(sink);
        CAPTURE(stays);
        CAPTURE(at);
        Recording recording(writer);
        recorder.quick = true;
        recorder.fail_at = at;
        recorder.stays = stays;
        auto error = attempt(writer, "one");
        all = recorder.failed == 0;
        if (all) CHECK_FALSE(error);
        if (error) CHECK_MESSAGE((error->fault == Fault::kRetry || error->exit_code == kExitIo), error->text);
        // What it leaves is closed with the fault still there.
        writer.stage.reset();
        writer.ledger.reset();
        recorder.fail_at.reset();
        if (error) error = attempt(writer, "one");
        REQUIRE_MESSAGE(!error, error->text);
        if (sink[0] == '{') {
          CHECK(test::unzstd(writer.out("a.zst")) == kA.kept());
          CHECK(test::unzstd(writer.out("b.zst")) == kB.kept());
        } else {
          CHECK(writer.out("out") == kA.kept() + kB.kept());
        }
        CHECK(writer.letters() == dead_of(kA) + dead_of(kB));
      }
    }
  }
}
