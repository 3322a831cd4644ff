// Runs records through children/child.py and keeps what comes out.
#pragma once

#include <doctest/doctest.h>
#include <fmt/format.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <limits>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "workers/processor/exec.h"

namespace leat::processor {

inline const std::string kChildren = std::string(LEAT_SOURCE_DIR) + "/tests/unit/processor/children";

struct TempFolder {
  std::string path;
  TempFolder() {
    std::string name = (std::filesystem::temp_directory_path() / "leat-exec-XXXXXX").string();
    REQUIRE(mkdtemp(name.data()) != nullptr);
    path = name;
  }
  TempFolder(const TempFolder&) = delete;
  TempFolder& operator=(const TempFolder&) = delete;
  ~TempFolder() { std::filesystem::remove_all(path); }
  std::string file(const char* name) const { return path + "/" + name; }
};

struct Outcome {
  ExecResult::Kind kind;
  std::string bytes;
  std::uint32_t records;
  std::string reason;
  int attempts;
};

// {"n":0}, {"n":1} ...
inline std::vector<std::string> numbered(int count) {
  std::vector<std::string> records;
  for (int n = 0; n < count; ++n) records.push_back(fmt::format("{{\"n\":{}}}", n));
  return records;
}

class Trial {
 public:
  using milliseconds = std::chrono::milliseconds;

  explicit Trial(std::vector<std::string> arguments, milliseconds timeout = milliseconds(30'000),
                 std::uint64_t max_record = config::kMiB) {
    config::Step step;
    step.op = config::Step::Op::kExec;
    step.command = {"/usr/bin/python3", "-EB", kChildren + "/child.py"};
    step.command.insert(step.command.end(), arguments.begin(), arguments.end());
    step.timeout = timeout;
    step.write = {std::filesystem::temp_directory_path()};  // markers of TempFolder
    start(step, max_record);
  }
  explicit Trial(const config::Step& step) { start(step, config::kMiB); }
  ~Trial() {
    exec.reset();
    CHECK_MESSAGE((waitpid(-1, nullptr, WNOHANG) == -1 && errno == ECHILD), "a child is left");
  }

  Result<void> run(const std::vector<std::string>& records) {
    Result<void> ran = run_once(records);
    return !ran && ran.error().fault == Fault::kReject ? run_once(records) : ran;
  }
  Result<void> run_once(const std::vector<std::string>& records) {
    const std::vector<std::string_view> views(records.begin(), records.end());
    outcomes.clear();
    return exec->run(
        views, room,
        [&](std::size_t index, const ExecResult& result) {
          REQUIRE(index == outcomes.size());
          outcomes.push_back({result.kind, std::string(result.bytes), result.records,
                              std::string(result.reason), result.attempts});
          if (on_result) on_result(index);
          return outcomes.size() < most_results;
        },
        should_stop);
  }
  // Until the child is known to flush: on a busy machine its start may take longer than its silence is borne.
  void warm_up() {
    for (int i = 0; i < 10 && exec->pid() < 0; ++i) REQUIRE(run({"{\"n\":-1}"}));
    warnings.clear();
  }
  void kill_child() const {
    REQUIRE(exec->pid() > 1);  // kill(-1) would be everybody
    kill(exec->pid(), SIGKILL);
  }
  // All records, in order, as they went in; but for `rejected`, which is a dead letter.
  void check_echoed(const std::vector<std::string>& records, int rejected = -1) const {
    REQUIRE(outcomes.size() == records.size());
    for (std::size_t i = 0; i < records.size(); ++i) {
      if (static_cast<int>(i) == rejected) {
        CHECK(outcomes[i].kind == ExecResult::Kind::kRejected);
      } else {
        REQUIRE(outcomes[i].kind == ExecResult::Kind::kRecords);
        REQUIRE(outcomes[i].bytes == records[i] + "\n");
      }
    }
  }

  std::size_t room = std::numeric_limits<std::size_t>::max();
  std::size_t most_results =
      std::numeric_limits<std::size_t>::max();  // there is no room for that one and what follows
  std::vector<Outcome> outcomes;
  std::vector<std::string> warnings;
  std::function<void(std::size_t)> on_result;
  Exec::ShouldStop should_stop;
  std::unique_ptr<Exec> exec;

 private:
  void start(const config::Step& step, std::uint64_t max_record) {
    exec = std::make_unique<Exec>(step, kChildren, max_record,
                                  [this](const std::string& text) { warnings.push_back(text); });
  }
};

}  // namespace leat::processor
