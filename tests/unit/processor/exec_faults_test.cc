// Children that do not keep to the protocol: who is blamed, what is lost (nothing), what it says.
#include <algorithm>

#include "tests/unit/processor/exec_fixture.h"

namespace leat::processor {
namespace {

using Kind = ExecResult::Kind;
using std::chrono::milliseconds;

bool has(const std::string& text, std::string_view part) {
  return text.find(part) != std::string::npos;
}

bool warned_of_kill(const Trial& trial) {
  return std::any_of(trial.warnings.begin(), trial.warnings.end(),
                     [](const auto& text) { return has(text, "killed by signal 9 (SIGKILL)"); });
}

}  // namespace

TEST_CASE(
    "a child that prints only at its end of input is closed, drained, restarted, and warned about once") {
  Trial trial({"until_eof"});
  for (int i = 0; i < 4; ++i) {
    const auto records = numbered(300);
    REQUIRE(trial.run(records));
    trial.check_echoed(records);
  }
  CHECK(trial.exec->restarts() == 0);
  REQUIRE(trial.warnings.size() == 1);
  CHECK(has(trial.warnings[0], "flush"));
}

TEST_CASE("a child that prints only at its end of input takes more than is owed at most") {
  Trial trial({"until_eof"});
  const auto records = numbered(10'000);
  REQUIRE(trial.run(records));
  trial.check_echoed(records);
}

TEST_CASE("a child with a buffer of 8 KiB loses nothing") {
  Trial trial({"buffers"});
  for (int i = 0; i < 3; ++i) {
    const auto records = numbered(5000);
    REQUIRE(trial.run(records));
    trial.check_echoed(records);
  }
  CHECK(trial.warnings.size() == 1);
}

TEST_CASE("a child that flushes is not closed however long it takes for a record") {
  Trial trial({"slow", "0.8"}, milliseconds(1400));  // silence is borne for half of the timeout
  REQUIRE(trial.run({"{}", "{}", "{}", "{}"}));
  REQUIRE(trial.run({"{}"}));
  const std::string pid = trial.outcomes[0].bytes;
  REQUIRE(trial.run({"{}"}));
  CHECK(trial.outcomes[0].bytes == pid);
  CHECK(trial.exec->restarts() == 0);
}

TEST_CASE("a child that is slow with its only record is given more time from then on") {
  Trial trial({"slow", "1.4"});
  REQUIRE(trial.run({"{}"}));
  REQUIRE(trial.run({"{}"}));
  const std::string pid = trial.outcomes[0].bytes;
  REQUIRE(trial.run({"{}"}));
  CHECK(trial.outcomes[0].bytes == pid);
}

TEST_CASE("a child that flushes every tenth line is found out, once, and loses nothing") {
  Trial trial({"by_tens"}, milliseconds(1500));
  REQUIRE(trial.run(numbered(20)));
  for (int i = 0; i < 3; ++i) {
    const auto records = numbered(5);
    REQUIRE(trial.run(records));
    trial.check_echoed(records);
  }
  CHECK(trial.exec->restarts() == 0);
}

TEST_CASE("a record that crashes the child is a dead letter, the others are not") {
  Trial trial({"dies", "70", "signal"});
  const auto records = numbered(200);
  REQUIRE(trial.run(records));
  trial.check_echoed(records, 70);
  CHECK(trial.outcomes[70].reason == "exec /usr/bin/python3: killed by signal 11 (SIGSEGV)");
  CHECK(trial.outcomes[70].attempts == 2);
  CHECK(trial.exec->restarts() == 2);
  REQUIRE(!trial.warnings.empty());
  CHECK(has(trial.warnings[0], "SIGSEGV"));
}

TEST_CASE("a record at which the child exits once is tried again and passes") {
  TempFolder folder;
  Trial trial({"dies", "7", "exit", folder.file("once")});
  const auto records = numbered(20);
  REQUIRE(trial.run(records));
  trial.check_echoed(records);
  CHECK(trial.exec->restarts() == 1);
  CHECK(trial.outcomes[7].attempts == 2);
  CHECK(trial.outcomes[8].attempts == 1);
  CHECK(has(trial.warnings.at(0), "exited with 3"));
}

TEST_CASE("the first and the only record may crash the child too") {
  Trial trial({"dies", "0", "exit"});
  REQUIRE(trial.run(numbered(1)));
  trial.check_echoed(numbered(1), 0);
  CHECK(trial.outcomes[0].reason == "exec /usr/bin/python3: exited with 3");
  CHECK(trial.outcomes[0].attempts == 2);
}

TEST_CASE("a record that was alone when the child died is tried once more as well") {
  TempFolder folder;
  Trial trial({"dies", "0", "signal", folder.file("once")});
  REQUIRE(trial.run(numbered(1)));
  trial.check_echoed(numbered(1));
  CHECK(trial.outcomes[0].attempts == 2);
}

TEST_CASE("a crash with innocent answers in the child's buffer costs only the record that crashed it") {
  Trial trial({"buffers_and_dies", "50"});
  const auto records = numbered(2000);
  REQUIRE(trial.run(records));
  trial.check_echoed(records, 50);
  CHECK(has(trial.outcomes[50].reason, "SIGSEGV"));
}

TEST_CASE("a record that hangs the child is a dead letter after its timeout") {
  Trial trial({"hangs", "5"}, milliseconds(800));
  const auto records = numbered(30);
  REQUIRE(trial.run(records));
  trial.check_echoed(records, 5);
  CHECK(trial.outcomes[5].reason == "exec /usr/bin/python3: no answer within 800ms");
}

TEST_CASE("a record that hangs the child once passes on a fresh one") {
  TempFolder folder;
  Trial trial({"hangs", "5", folder.file("once")}, milliseconds(1000));
  const auto records = numbered(30);
  REQUIRE(trial.run(records));
  trial.check_echoed(records);
  CHECK(trial.exec->restarts() == 1);
}

TEST_CASE("a record that makes the child print junk is a dead letter that shows it") {
  for (const char* bad : {"Traceback!", "17", "\"text\"", "true", "{\"a\":", "", "[1", "{} {}"}) {
    CAPTURE(bad);
    Trial trial({"junk", "3", bad});
    const auto records = numbered(10);
    REQUIRE(trial.run(records));
    trial.check_echoed(records, 3);
    CHECK(trial.outcomes[3].reason ==
          fmt::format("exec /usr/bin/python3: printed junk: expected a JSON object, null or array, got `{}`",
                      bad));
  }
}

TEST_CASE("junk is shown without control characters, cut, and never in a warning") {
  Trial trial({"junk", "0", "secret \x1b[31m\xff" + std::string(100, 'x')});
  REQUIRE(trial.run(numbered(3)));
  CHECK(trial.outcomes[0].reason.ends_with("got `secret .[31m." + std::string(67, 'x') + "`..."));
  for (const std::string& warning : trial.warnings) CHECK(!has(warning, "secret"));
}

TEST_CASE("a line without end is refused at eight times the longest answer") {
  Trial trial({"endless_line"}, milliseconds(30'000), 100'000);
  REQUIRE(trial.run(numbered(1)));
  CHECK(trial.outcomes[0].reason == "exec /usr/bin/python3: printed a line of over 800000 bytes");
}

TEST_CASE("a line too many once: its records are tried one at a time, and all are right") {
  TempFolder folder;
  Trial trial({"extra", "9", folder.file("once")});
  const auto records = numbered(10);
  REQUIRE(trial.run(records));
  trial.check_echoed(records);
  REQUIRE(trial.run(records));
  trial.check_echoed(records);
  CHECK(trial.exec->restarts() == 1);
  CHECK(has(trial.warnings.at(0), "more lines than it was given records"));
}

TEST_CASE("a child that exits at once, always, ends the run instead of dead-lettering all of it") {
  config::Step step;
  step.command = {"/usr/bin/python3", "-c", "import sys; sys.exit(1)"};
  Trial trial(step);
  const Result<void> ran = trial.run(numbered(1000));
  REQUIRE(!ran);
  CHECK(ran.error().fault == Fault::kFatal);
  CHECK(ran.error().exit_code == kExitConfig);
  CHECK(has(ran.error().text, "exec /usr/bin/python3: exited with 1; it ended 10 times"));
  CHECK(trial.outcomes.size() < 10);
}

TEST_CASE("a child that greets before it answers ends the run") {
  Trial trial({"banner"});
  const Result<void> ran = trial.run(numbered(1000));
  REQUIRE(!ran);
  CHECK(ran.error().exit_code == kExitConfig);
}

TEST_CASE("a child that closes its stdin and stays is killed") {
  Trial trial({"closes_stdin"}, milliseconds(200));
  const Result<void> ran = trial.run({"{\"n\":\"" + std::string(900'000, 'x') + "\"}"});
  REQUIRE(ran);
  CHECK(trial.outcomes[0].kind == Kind::kRejected);
}

TEST_CASE("a child for every record is slow but loses nothing") {
  Trial trial({"one_each"});
  const auto records = numbered(8);
  REQUIRE(trial.run(records));
  trial.check_echoed(records);
}

TEST_CASE("the last line of a child may lack its newline") {
  Trial trial({"no_newline"});
  const auto records = numbered(3);
  REQUIRE(trial.run(records));
  trial.check_echoed(records);
}

TEST_CASE("children killed from outside cost no record") {
  Trial trial({"echo"});
  const auto records = numbered(10'000);
  trial.on_result = [&](std::size_t index) {
    if (index % 2500 == 1000) trial.kill_child();
  };
  REQUIRE(trial.run(records));
  trial.check_echoed(records);
  CHECK(trial.exec->restarts() >= 1);  // a child may have answered all before it was killed
  CHECK(warned_of_kill(trial));
}

TEST_CASE("a child killed between two runs is replaced") {
  Trial trial({"echo"});
  trial.warm_up();
  trial.kill_child();
  const auto records = numbered(5);
  REQUIRE(trial.run(records));
  trial.check_echoed(records);
}

TEST_CASE("a child that dies is said to have been killed, even if its stdin is gone first") {
  TempFolder folder;
  Trial trial({"loses_stdin_and_dies", folder.path + "/once"});
  REQUIRE(trial.run(numbered(1)));
  const auto records = numbered(5);
  REQUIRE(trial.run(records));
  trial.check_echoed(records);
  CHECK(warned_of_kill(trial));
}

TEST_CASE("a child with a record that was not answered does not outlive its exec") {
  Trial trial({"hangs", "0"});
  trial.should_stop = [&](bool) { return trial.exec->pid() > 0; };
  REQUIRE(!trial.run(numbered(1)));
}

}  // namespace leat::processor
