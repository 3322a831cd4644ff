// Children that keep to the protocol: what answers mean, and that all of it flows.
#include "workers/processor/exec.h"

#include <signal.h>

#include "tests/unit/processor/exec_fixture.h"

namespace leat::processor {
namespace {

using Kind = ExecResult::Kind;

// Records that make `answers` print exactly these lines.
std::vector<std::string> asking_for(const std::vector<std::string>& answers) {
  std::vector<std::string> records;
  for (const std::string& answer : answers) {
    std::string record = "{\"answer\":";
    record += '"';
    for (char c : answer) {
      if (c == '"' || c == '\\') record += '\\';
      if (c == '\t')
        record += "\\t";
      else
        record += c;
    }
    records.push_back(record + "\"}");
  }
  return records;
}

Outcome answer_to(const std::string& line) {
  Trial trial({"answers"});
  REQUIRE(trial.run(asking_for({line})));
  REQUIRE(trial.outcomes.size() == 1);
  return trial.outcomes[0];
}

}  // namespace

TEST_CASE("every record comes back in order, byte for byte") {
  Trial trial({"echo"});
  trial.warm_up();
  const auto records = numbered(5000);
  REQUIRE(trial.run(records));
  trial.check_echoed(records);
  CHECK(trial.outcomes[0].records == 1);
  CHECK(trial.outcomes[0].attempts == 1);
  CHECK(trial.warnings.empty());
}

TEST_CASE("one child serves run after run") {
  Trial trial({"echo"});
  trial.warm_up();
  const pid_t pid = trial.exec->pid();
  for (int i = 0; i < 20; ++i) {
    const auto records = numbered(10 + i);
    REQUIRE(trial.run(records));
    trial.check_echoed(records);
  }
  CHECK(trial.exec->pid() == pid);
  CHECK(trial.exec->restarts() == 0);
}

TEST_CASE("a run without records does nothing") {
  Trial trial({"echo"});
  REQUIRE(trial.run({}));
  CHECK(trial.exec->pid() == -1);
}

TEST_CASE("null drops the record") {
  CHECK(answer_to("null").kind == Kind::kDropped);
}

TEST_CASE("an empty array drops the record") {
  CHECK(answer_to("[ ]").kind == Kind::kDropped);
}

TEST_CASE("an array becomes its members, verbatim and in order") {
  const Outcome outcome = answer_to(R"( [{"a":[1,{"x":"],["}]} ,{}, {"b" : 1.50}]  )");
  CHECK(outcome.kind == Kind::kRecords);
  CHECK(outcome.records == 3);
  CHECK(outcome.bytes == "{\"a\":[1,{\"x\":\"],[\"}]}\n{}\n{\"b\" : 1.50}\n");
}

TEST_CASE("an array with a member that is not an object is a dead letter and the child's life continues") {
  Trial trial({"answers"});
  REQUIRE(trial.run(asking_for({R"([{"a":1},2])", "{}"})));
  CHECK(trial.outcomes[0].kind == Kind::kRejected);
  CHECK(trial.outcomes[0].reason.find("not an object") != std::string::npos);
  CHECK(trial.outcomes[1].kind == Kind::kRecords);
  CHECK(trial.exec->restarts() == 0);
}

TEST_CASE("leat_error is a dead letter with its decoded reason") {
  const Outcome outcome = answer_to(R"({ "leat_error": "no \"lang\"" })");
  CHECK(outcome.kind == Kind::kRejected);
  CHECK(outcome.reason == "no \"lang\"");
}

TEST_CASE("leat_error counts only as the first member and as a string") {
  CHECK(answer_to(R"({"a":1,"leat_error":"x"})").kind == Kind::kRecords);
  CHECK(answer_to(R"({"leat_error":5})").kind == Kind::kRecords);
}

TEST_CASE("a long leat_error is cut between characters") {
  std::string text;
  for (int i = 0; i < 700; ++i) text += "\u00e9";
  const Outcome outcome = answer_to("{\"leat_error\":\"x" + text + "\"}");
  CHECK(outcome.reason.size() == 1023);
  CHECK(outcome.reason.ends_with("\u00e9"));
}

TEST_CASE("blanks around an answer are dropped") {
  CHECK(answer_to("  {\"a\": 1} \t ").bytes == "{\"a\": 1}\n");
}

TEST_CASE("a carriage return at the end of a record is not passed on") {
  Trial trial({"echo"});
  REQUIRE(trial.run({"{\"n\":1}\r"}));
  CHECK(trial.outcomes[0].bytes == "{\"n\":1}\n");
}

TEST_CASE("records of 1 MB flow both ways at once") {
  Trial trial({"echo"}, std::chrono::milliseconds(30'000), 2 * config::kMiB);
  std::vector<std::string> records;
  for (int i = 0; i < 12; ++i)
    records.push_back("{\"n\":\"" + std::string(1'000'000, static_cast<char>('a' + i)) + "\"}");
  REQUIRE(trial.run(records));
  trial.check_echoed(records);
  CHECK(trial.exec->restarts() == 0);
}

TEST_CASE("a child that starts late is waited for") {
  Trial trial({"late", "0.3"});
  const auto records = numbered(50);
  REQUIRE(trial.run(records));
  trial.check_echoed(records);
  CHECK(trial.exec->restarts() == 0);
}

TEST_CASE("the child has the pipeline's folder, its own group, no foreign descriptors, default signals") {
  sigset_t blocked, before;
  sigemptyset(&blocked);
  sigaddset(&blocked, SIGTERM);
  sigprocmask(SIG_BLOCK, &blocked, &before);
  signal(SIGUSR1, SIG_IGN);
  const int stray = dup(1);  // not close-on-exec
  Trial trial({"facts"});
  REQUIRE(trial.run({"{}"}));
  close(stray);
  signal(SIGUSR1, SIG_DFL);
  sigprocmask(SIG_SETMASK, &before, nullptr);
  // Descriptor 3 is the one that lists /proc/self/fd.
  CHECK(trial.outcomes[0].bytes == fmt::format("{{\"cwd\": \"{}\", \"fds\": [0, 1, 2, 3], \"group\": true, "
                                               "\"blocked\": 0, \"ignored\": false}}\n",
                                               std::filesystem::canonical(kChildren).string()));
}

TEST_CASE("a command that cannot be found is fatal at start and named") {
  config::Step step;
  step.command = {"no-such-program-of-leat"};
  ::setenv("PATH", "/usr/bin:/bin", 1);  // a folder in it that this user may not see would be another error
  Trial trial(step);
  const Result<void> started = trial.exec->start();
  REQUIRE(!started);
  CHECK(started.error().fault == Fault::kFatal);
  CHECK(started.error().exit_code == kExitConfig);
  CHECK(started.error().text.find("no-such-program-of-leat: No such file") != std::string::npos);
}

TEST_CASE("should_stop ends a run in the middle and the next run starts clean") {
  Trial trial({"hangs", "5"});
  trial.should_stop = [&](bool) { return trial.outcomes.size() == 5; };
  const Result<void> stopped = trial.run(numbered(10));
  REQUIRE(!stopped);
  CHECK(stopped.error().exit_code == kExitStopped);
  CHECK(trial.exec->pid() == -1);
  trial.should_stop = {};
  const auto records = numbered(4);
  REQUIRE(trial.run(records));
  trial.check_echoed(records);
}

}  // namespace leat::processor
