#include "daemon/supervisor/liveness.h"

#include <doctest/doctest.h>

using leat::supervisor::Liveness;
using std::chrono::milliseconds;
using std::chrono::seconds;

namespace {

struct Run {
  Liveness liveness{seconds(10)};
  Liveness::Clock::time_point now = Liveness::Clock::now();
  Liveness::View view;

  Liveness::Stall stall(bool still, std::uint64_t accepted = 7) {
    now += milliseconds(1);
    return liveness.see_stall(now, still, accepted);
  }
  bool stuck_after(seconds time) {
    view.now = now += time;
    return liveness.see_progress(view);
  }
};

}  // namespace

TEST_CASE("batches that were lost are sent again once for each stall, and not for ever") {
  Run run;
  for (int i = 0; i < Liveness::kMostResends; ++i) {
    CHECK(run.stall(true) == Liveness::Stall::kResend);
    CHECK(run.stall(true) == Liveness::Stall::kNone);
    CHECK(run.stall(false) == Liveness::Stall::kNone);
  }
  CHECK(run.stall(true) == Liveness::Stall::kGiveUp);
}

TEST_CASE("a stall that lasts after a resend is another one") {
  Run run;
  CHECK(run.stall(true) == Liveness::Stall::kResend);
  run.now += Liveness::kStalled;
  CHECK(run.stall(true) == Liveness::Stall::kNone);
  CHECK(run.stall(true) == Liveness::Stall::kResend);
}

TEST_CASE("what was accepted between two stalls, and a restart, reset the count") {
  Run run;
  for (std::uint64_t accepted = 1; accepted <= 10; ++accepted) {
    CHECK(run.stall(true, accepted) == Liveness::Stall::kResend);
    CHECK(run.stall(false) == Liveness::Stall::kNone);
  }
  for (int i = 0; i < 10; ++i) {
    CHECK(run.stall(true) == Liveness::Stall::kResend);
    run.liveness.start_over(run.now);
  }
}

TEST_CASE("a run is stuck when something is pending, nothing moves and nothing is waited for") {
  Run run;
  run.view.pending = true;
  run.view.movement = 1;
  CHECK_FALSE(run.stuck_after(seconds(60)));  // it has just moved
  CHECK_FALSE(run.stuck_after(seconds(9)));
  CHECK(run.stuck_after(seconds(1)));
  CHECK_FALSE(run.stuck_after(seconds(9)));  // said once
  run.view.movement = 2;
  CHECK_FALSE(run.stuck_after(seconds(20)));
  run.view.waits = true;
  CHECK_FALSE(run.stuck_after(seconds(20)));
  auto moved = run.liveness.moved_at();
  CHECK(run.now - moved == seconds(20));  // a known reason is no movement
  run.view.waits = false;
  run.view.pending = false;
  CHECK_FALSE(run.stuck_after(seconds(20)));
  CHECK(run.liveness.moved_at() == run.now);
}

TEST_CASE("what gave up has a last word once the reader had its time") {
  Run run;
  CHECK_FALSE(run.liveness.has_given_up());
  run.liveness.give_up("why", run.now);
  REQUIRE(run.liveness.has_given_up());
  CHECK(run.liveness.last_word(run.now + milliseconds(1'999)) == nullptr);
  REQUIRE(run.liveness.last_word(run.now + Liveness::kLastWord) != nullptr);
  CHECK(*run.liveness.last_word(run.now + Liveness::kLastWord) == "why");
}

TEST_CASE("the time at a record begins anew with each record, and with each batch") {
  using leat::supervisor::RecordWatch;
  RecordWatch watch;
  RecordWatch::Clock::time_point now{seconds(1'000)};
  CHECK(watch.time(now) == seconds(0));
  watch.see(RecordWatch::At{1, 2, 3}, now);
  watch.see(RecordWatch::At{1, 2, 3}, now + seconds(5));
  CHECK(watch.time(now + seconds(5)) == seconds(5));
  watch.see(RecordWatch::At{2, 2, 3}, now + seconds(6));
  CHECK(watch.time(now + seconds(7)) == seconds(1));
  watch.see(std::nullopt, now + seconds(8));
  CHECK(watch.time(now + seconds(9)) == seconds(0));
}

TEST_CASE("a start that is late ends the run unless its page says why, and nobody is late for another") {
  using leat::proto::Stage;
  using leat::supervisor::StartUp;
  using Next = StartUp::Next;
  const auto late = [](Stage stage, bool hello, bool epoch, bool why) {
    return StartUp{stage, hello, epoch, why, seconds(30)}.next(seconds(30));
  };
  CHECK(StartUp{Stage::kFilter, false, false, false, seconds(29)}.next(seconds(30)) == Next::kWait);
  CHECK(late(Stage::kFilter, false, false, false) == Next::kEnd);
  CHECK(late(Stage::kFilter, true, false, false) == Next::kWait);
  CHECK(late(Stage::kFilter, true, true, false) == Next::kEnd);
  CHECK(late(Stage::kFilter, true, true, true) == Next::kNote);
  CHECK(late(Stage::kReader, true, true, false) == Next::kWait);
  CHECK(late(Stage::kWriter, true, false, false) == Next::kEnd);
  CHECK(late(Stage::kWriter, true, false, true) == Next::kNote);
}
