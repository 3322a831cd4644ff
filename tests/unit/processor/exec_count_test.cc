// Programs whose lines and records differ in number: nothing of the run is believed, and the reason is found out.
#include "tests/unit/processor/exec_fixture.h"

namespace leat::processor {
namespace {

bool has(const std::string& text, std::string_view part) {
  return text.find(part) != std::string::npos;
}

config::Step command(std::vector<std::string> words) {
  config::Step step;
  step.op = config::Step::Op::kExec;
  step.command = std::move(words);
  step.timeout = std::chrono::seconds(5);  // the silence of one that is known to flush is not broken sooner
  return step;
}

config::Step python(const std::string& body) {
  return command({"/usr/bin/python3", "-c", "import sys\nfor n, line in enumerate(sys.stdin):\n" + body});
}

// Ends the run, the first time as what is void.
void check_refused(const config::Step& step, std::string_view reason, int records = 20) {
  CAPTURE(step.command.back());
  Trial trial(step);
  const Result<void> first = trial.run_once(numbered(records));
  REQUIRE_FALSE(first);
  CHECK(first.error().fault == Fault::kReject);
  const Result<void> again = trial.run_once(numbered(records));
  REQUIRE_FALSE(again);
  CHECK(again.error().fault == Fault::kFatal);
  CHECK(again.error().exit_code == kExitConfig);
  CHECK(has(again.error().text, reason));
  CHECK(has(again.error().text, "one line for each record"));
}

}  // namespace

TEST_CASE("a program that prints no line for some records ends the run") {
  for (const char* flush : {"True", "False"}) {
    check_refused(python(fmt::format("  if '7' not in line: print(line, end='', flush={})", flush)),
                  "printed 0 lines for 1 record");
  }
  check_refused(command({"/bin/sed", "-u", "/7/d"}), "printed 0 lines for 1 record");
  check_refused(command({"/bin/grep", "-v", "1"}), "exited with 1 without a line for its record");
  check_refused(command({"/bin/true"}), "printed 0 lines for 1 record");
}

TEST_CASE("a program that prints several lines for some records ends the run, also behind the last one") {
  for (const char* flush : {"True", "False"}) {
    check_refused(python(fmt::format("  print(line, end=line if '7' in line else '', flush={})", flush)),
                  "more lines than");
  }
  check_refused(command({"/bin/sed", "-u", "p"}), "more lines than", 1);
  // By a write of its own, after it was seen to have answered all.
  check_refused(
      python("  print(line, end='', flush=True)\n  if '\"n\":19}' in line: print(line, end='', flush=True)"),
      "more lines than");
}

TEST_CASE("a skip after many right answers is found") {
  Trial trial(python("  if n != 2010: print(line, end='', flush=True)"));
  const auto records = numbered(40);
  for (int i = 0; i < 50; ++i) {
    REQUIRE(trial.run_once(records));
    trial.check_echoed(records);
  }
  const Result<void> ran = trial.run_once(records);
  REQUIRE_FALSE(ran);
  CHECK(ran.error().fault == Fault::kReject);
  // This one counts from its start, so that alone it answers each.
  REQUIRE(trial.run_once(records));
  trial.check_echoed(records);
}

TEST_CASE("a line too many is found also where there is no room for what it answered") {
  Trial trial(command({"/bin/sed", "-u", "p"}));
  trial.most_results = 3;
  const Result<void> ran = trial.run_once(numbered(20));
  REQUIRE_FALSE(ran);
  CHECK(ran.error().fault == Fault::kReject);
}

TEST_CASE("a program that exits after so many answers gets no more from then on") {
  Trial trial(command({"/bin/sed", "-u", "5q"}));
  const auto records = numbered(20);
  REQUIRE(trial.run(records));
  trial.check_echoed(records);
  CHECK(trial.warnings.size() == 1);
  REQUIRE(trial.run_once(records));
  trial.check_echoed(records);
  CHECK(trial.warnings.size() == 1);
}

}  // namespace leat::processor
