#include "daemon/supervisor/judgement.h"

#include <doctest/doctest.h>

using namespace leat;
using namespace leat::supervisor;
using proto::Stage;
using std::chrono::milliseconds;
using std::chrono::seconds;

namespace {

struct Court {
  Job job;
  Judgement judgement{job};
  std::chrono::steady_clock::time_point now{seconds(1'000)};

  Court() {
    job.pipeline.source.give_up = seconds(60);
    job.pipeline.sink.path = "/dev/stdout";
  }
  Verdict judge(Stage stage, int exit_code, std::string retry = {}) {
    return judgement.judge({stage, exit_code, "It has ended.", std::move(retry), now});
  }
};

bool has(const std::string& text, std::string_view part) {
  return text.find(part) != std::string::npos;
}

}  // namespace

TEST_CASE("an exit code that means something ends the run with it, unless another try may have more luck") {
  Court court;
  CHECK(court.judge(Stage::kFilter, kExitConfig).exit_code == kExitConfig);
  CHECK(court.judge(Stage::kFilter, kExitUsage).exit_code == kExitUsage);
  CHECK(court.judge(Stage::kFilter, kExitConfig, "no descriptors").exit_code == kExitOk);
  CHECK(court.judge(Stage::kFilter, 1).exit_code == kExitOk);
  CHECK(court.judge(Stage::kWriter, -1).exit_code == kExitOk);
}

TEST_CASE("what went into a pipe cannot be taken back, so reader and writer are not restarted") {
  Court court;
  court.job.volatile_state = true;
  Verdict verdict = court.judge(Stage::kWriter, -1, "the sink is unavailable");
  CHECK(verdict.exit_code == kExitBug);
  CHECK(has(verdict.text, "/dev/stdout"));
  CHECK(court.judge(Stage::kReader, -1).exit_code == kExitBug);
  CHECK(court.judge(Stage::kProcessor, -1).exit_code == kExitOk);
}

TEST_CASE("ten deaths in a row end the run, each with a longer pause before, and a commit ends the row") {
  Court court;
  milliseconds before{0};
  CHECK(court.judge(Stage::kFilter, -1).pause == before);
  for (int i = 2; i < Deaths::kMostInARow; ++i) {
    Verdict verdict = court.judge(Stage::kFilter, -1);
    CHECK(verdict.event == "worker-died");
    CHECK(verdict.pause >= before);
    before = verdict.pause;
  }
  CHECK(before > milliseconds(1'000));
  court.judgement.saw_commits(1);
  CHECK(court.judge(Stage::kFilter, -1).pause == milliseconds(0));
  for (int i = 2; i < Deaths::kMostInARow; ++i) CHECK(court.judge(Stage::kFilter, -1).exit_code == kExitOk);
  CHECK(court.judge(Stage::kFilter, -1).exit_code == kExitBug);
}

TEST_CASE("an unavailable sink is named once, and how long a plain run waits for it is a key") {
  Court court;
  CHECK(court.judge(Stage::kWriter, -1, "disk full").event == "sink-unavailable");
  for (int i = 0; i < 50; ++i) {
    Verdict again = court.judge(Stage::kWriter, -1, "still full");
    CHECK(again.event.empty());
    CHECK(again.exit_code == kExitOk);
    CHECK(again.pause == milliseconds(500));
  }
  CHECK(court.judgement.given_up(court.judgement.sink(), court.now + seconds(60)).empty());
  const std::string why = court.judgement.given_up(court.judgement.sink(), court.now + seconds(61));
  CHECK(has(why, "still full; for more than"));
  court.job.follow = true;
  CHECK(court.judgement.given_up(court.judgement.sink(), court.now + seconds(61)).empty());
}

TEST_CASE("a program that cannot be started is tried for as long, counted from the last progress") {
  Court court;
  CHECK(court.judge(Stage::kProcessor, -1, "no memory").event == "worker-failed");
  court.now += seconds(60);
  CHECK(court.judge(Stage::kProcessor, -1, "no memory").exit_code == kExitOk);
  court.judgement.saw_commits(1);
  court.now += seconds(1);
  CHECK(court.judge(Stage::kProcessor, -1, "no memory").event == "worker-failed");
  court.now += seconds(61);
  Verdict verdict = court.judge(Stage::kProcessor, -1, "no memory");
  CHECK(verdict.exit_code == kExitIo);
  CHECK(has(verdict.text, "no memory; for more than"));
  CHECK_FALSE(court.judgement.sink().since);
}

TEST_CASE(
    "the third death at a record makes it a dead letter, and that is progress; a restart forgets the "
    "deaths") {
  Court court;
  CHECK_FALSE(court.judgement.blame(1, 10));
  CHECK_FALSE(court.judgement.blame(1, 20));
  CHECK_FALSE(court.judgement.blame(1, 10));
  CHECK(court.judgement.progress() == 0);
  CHECK(court.judgement.blame(1, 10));
  CHECK(court.judgement.progress() == 1);
  CHECK_FALSE(court.judgement.blame(1, 20));
  court.judgement.saw_commits(5);
  court.judgement.start_over();
  CHECK(court.judgement.progress() == 6);
  CHECK_FALSE(court.judgement.blame(1, 20));
  court.judgement.saw_commits(2);
  CHECK(court.judgement.progress() == 8);
}

TEST_CASE("deaths of a stage add up until something is committed") {
  Deaths deaths;
  CHECK(deaths.in_a_row(Stage::kFilter, 4) == 1);
  CHECK(deaths.in_a_row(Stage::kFilter, 4) == 2);
  CHECK(deaths.in_a_row(Stage::kWriter, 4) == 1);
  CHECK(deaths.in_a_row(Stage::kFilter, 5) == 1);
}

TEST_CASE("the first death is answered at once, the others ever later, but not for ever") {
  CHECK(Deaths::pause(1) == milliseconds(0));
  CHECK(Deaths::pause(2) == milliseconds(50));
  CHECK(Deaths::pause(3) == milliseconds(100));
  CHECK(Deaths::pause(9) == milliseconds(2'000));
  CHECK(Deaths::pause(1'000'000) == milliseconds(2'000));
}

TEST_CASE("deaths are laid at the door of one record of one source") {
  Deaths deaths;
  for (int i = 1; i < Deaths::kMostAtARecord; ++i) {
    CHECK_FALSE(deaths.at_record(1, 100));
    CHECK_FALSE(deaths.at_record(1, 101));
    CHECK_FALSE(deaths.at_record(2, 100));
  }
  CHECK(deaths.at_record(1, 100));
  CHECK_FALSE(deaths.at_record(1, 100));
}
