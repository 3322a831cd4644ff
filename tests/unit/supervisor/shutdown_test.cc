#include "daemon/supervisor/shutdown.h"

#include <doctest/doctest.h>

using namespace leat::supervisor;
using std::chrono::milliseconds;
using std::chrono::seconds;
using Next = Shutdown::Next;

namespace {

struct Ending {
  Job job;
  Shutdown shutdown{job};
  Shutdown::Clock::time_point now{seconds(1'000)};

  Ending() {
    job.drain_patience = seconds(30);
    job.stop_patience = seconds(20);
    job.pipeline.process.timeout = seconds(300);
  }
};

}  // namespace

TEST_CASE("a drain becomes late from its first request, a stop by the shorter of two times") {
  Ending at;
  at.shutdown.drain(at.now);
  at.shutdown.drain(at.now + seconds(29));
  CHECK_FALSE(at.shutdown.drain_is_late(at.now + seconds(29)));
  CHECK(at.shutdown.drain_is_late(at.now + seconds(30)));
  at.shutdown.stop(at.now);
  CHECK(at.shutdown.record_patience() == seconds(22));
  CHECK_FALSE(at.shutdown.records_are_late(at.now + seconds(21)));
  CHECK(at.shutdown.records_are_late(at.now + seconds(22)));
  at.job.pipeline.process.timeout = seconds(5);
  CHECK(at.shutdown.records_are_late(at.now + seconds(7)));
}

TEST_CASE("a commit is late only once the writer was told") {
  Ending at;
  at.shutdown.stop(at.now);
  CHECK_FALSE(at.shutdown.commit_is_late(at.now + seconds(600)));
  at.shutdown.writer_finishes(at.now);
  CHECK(at.shutdown.waits_for_writer());
  CHECK_FALSE(at.shutdown.commit_is_late(at.now + seconds(9)));
  CHECK(at.shutdown.commit_is_late(at.now + Shutdown::kCommit));
}

TEST_CASE("workers get a moment to leave, are killed once, and then are not waited for") {
  Ending at;
  CHECK(at.shutdown.leave(at.now));
  CHECK_FALSE(at.shutdown.leave(at.now));
  CHECK(at.shutdown.next(at.now, false) == Next::kWait);
  CHECK(at.shutdown.next(at.now, true) == Next::kOver);
  at.now += Shutdown::kLeave;
  CHECK(at.shutdown.next(at.now, false) == Next::kKill);
  CHECK(at.shutdown.next(at.now, false) == Next::kWait);
  CHECK(at.shutdown.next(at.now + Shutdown::kBury, false) == Next::kOver);
}

TEST_CASE("in a hurry the moment is shorter, also when the hurry comes later") {
  Ending at;
  at.shutdown.hurry(at.now);
  CHECK(at.shutdown.leave(at.now));
  CHECK(at.shutdown.next(at.now + Shutdown::kLeaveHurried, false) == Next::kKill);
  Ending late;
  CHECK(late.shutdown.leave(late.now));
  late.shutdown.hurry(late.now + milliseconds(100));
  CHECK(late.shutdown.next(late.now + Shutdown::kLeaveHurried, false) == Next::kWait);
  CHECK(late.shutdown.next(late.now + Shutdown::kLeaveHurried + milliseconds(100), false) == Next::kKill);
}
