#include "daemon/supervisor/pool.h"

#include <doctest/doctest.h>
#include <unistd.h>

#include "proto/dealer.h"

using namespace leat;
using namespace leat::supervisor;
using proto::Stage;
using std::chrono::milliseconds;
using std::chrono::seconds;

namespace {

// 1 to 4 processors, or as many as that.
struct Pooled {
  Job job;
  Clock::time_point now{seconds(1'000)};
  Pool::Applicant applicant{::geteuid(), Stage::kProcessor, LEAT_VERSION};

  explicit Pooled(config::Workers workers = {1, 4}) {
    job.pipeline.name = "test";
    job.pipeline.process.steps.emplace_back();
    job.pipeline.process.workers = workers;
    job.follow = true;
  }
  // Processors that are busy all the time, and a filter that waits for them.
  std::optional<Pool::Change> saturated(Pool& pool, int samples = 10) {
    for (int i = 0; i < samples; ++i) {
      now += Controller::kInterval;
      Controller::View view{now, 1, 0, 1, 0.8, 0.1, 10, 0.5, 1};
      if (auto change = pool.sample(view, 0)) return change;
    }
    return std::nullopt;
  }
};

bool has(const std::string& text, std::string_view part) {
  return text.find(part) != std::string::npos;
}

}  // namespace

TEST_CASE("a run that follows begins with the fewest processors, one that ends with the most") {
  Pooled at;
  CHECK(Pool(at.job).wanted() == 1);
  at.job.follow = false;
  CHECK(Pool(at.job).wanted() == 4);
  at.job.pipeline.process.steps.clear();
  CHECK(Pool(at.job).wanted() == 0);
  CHECK_FALSE(Pool(at.job).ask(1, 0));
  CHECK_FALSE(Pool(at.job).automate());
}

TEST_CASE("what is asked for holds until it is automatic again") {
  Pooled at;
  Pool pool(at.job);
  CHECK(pool.automatic());
  auto change = pool.ask(3, 0);
  REQUIRE(change);
  CHECK((*change)->from == 1);
  CHECK((*change)->to == 3);
  CHECK_FALSE(pool.automatic());
  CHECK_FALSE(*pool.ask(3, 0));
  REQUIRE(pool.automate());
  CHECK(pool.automatic());
  CHECK(pool.wanted() == 3);
  Pooled fixed({2, 2});
  CHECK_FALSE(Pool(fixed.job).automate());
}

TEST_CASE("processors that are the bottleneck become more, if limits.memory has room") {
  Pooled at;
  Pool pool(at.job);
  auto change = at.saturated(pool);
  REQUIRE(change);
  CHECK(change->to == 2);
  CHECK(pool.wanted() == 2);
  Pool full(at.job);
  at.job.in_file_bytes = at.job.pipeline.limits.memory_bytes / 2;  // in each of them
  CHECK_FALSE(full.budget(2));
  CHECK_FALSE(at.saturated(full));
  CHECK_FALSE(full.ask(1, 1));
  CHECK(has(full.refusal(at.applicant, {1, 0, 4}), "limits.memory"));
  CHECK(full.wanted() == 1);
}

TEST_CASE("as many are started and drained as are wanted; one that cannot be started is tried again") {
  Pooled at;
  Pool pool(at.job);
  REQUIRE(pool.ask(3, 0));
  CHECK(pool.to_start({1, 5, 9}, at.now) == 2);
  CHECK(pool.to_start({3, 0, 6}, at.now) == 0);
  CHECK(pool.to_start({1, 0, proto::Dealer::kMaxMembers - 1}, at.now) == 1);
  CHECK(pool.to_start({1, 0, proto::Dealer::kMaxMembers + 1}, at.now) == 0);
  CHECK(pool.to_drain({3, 5, 9}) == 0);
  CHECK(pool.to_drain({5, 0, 9}) == 2);
  pool.not_started(at.now);
  CHECK(pool.to_start({1, 0, 4}, at.now + seconds(4)) == 0);
  CHECK(pool.to_start({1, 0, 4}, at.now + seconds(6)) == 2);
}

TEST_CASE("who may join: a processor of this release and user, while there is room") {
  Pooled at;
  Pool pool(at.job);
  CHECK(pool.refusal(at.applicant, {1, 0, 4}).empty());
  CHECK(has(pool.refusal(at.applicant, {1, 0, proto::Dealer::kMaxMembers}), "which is the most"));
  CHECK(has(pool.refusal({at.applicant.uid + 1, Stage::kProcessor, LEAT_VERSION}, {1, 0, 4}), "same user"));
  CHECK(has(pool.refusal({at.applicant.uid, Stage::kFilter, LEAT_VERSION}, {1, 0, 4}), "no processors"));
  CHECK(has(pool.refusal({at.applicant.uid, Stage::kProcessor, "0.0"}, {1, 0, 4}), "one release"));
  at.job.pipeline.process.steps.clear();
  CHECK(has(pool.refusal(at.applicant, {0, 0, 3}), "no steps"));
}

TEST_CASE("the window shrinks for more processors, and is told once") {
  Pooled at;
  Pool pool(at.job);
  auto few = pool.window(1);
  auto many = pool.window(4);
  REQUIRE(few);
  REQUIRE(many);
  CHECK(many->bytes < few->bytes);
  pool.window_is_for(4);
  CHECK_FALSE(pool.window(4));
  CHECK(pool.window(1));
  pool.window_is_for(0);
  CHECK(pool.window(4));
}

TEST_CASE("a draining processor leaves when its dealers have got all back, or are not there to say so") {
  Clock::time_point now{seconds(1'000)};
  const milliseconds patience = seconds(60);
  using Next = Draining::Next;
  Draining draining(now, {7, 8});
  CHECK(draining.next(now, false, patience) == Next::kWait);
  CHECK(draining.next(now + seconds(4), true, patience) == Next::kWait);
  CHECK(draining.next(now + Draining::kIdle, true, patience) == Next::kLeave);  // a credit was lost
  CHECK(draining.next(now + Draining::kIdle, false, patience) == Next::kWait);
  CHECK(draining.next(now + patience, false, patience) == Next::kKill);
  draining.drained(7);
  draining.drained(9);
  CHECK(draining.next(now, false, patience) == Next::kWait);
  draining.drained(8);
  CHECK(draining.next(now, false, patience) == Next::kLeave);
  CHECK(Draining(now, {}).next(now, false, patience) == Next::kLeave);
}
