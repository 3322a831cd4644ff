#include "daemon/supervisor/scaling.h"

#include <doctest/doctest.h>

using namespace leat;
using namespace leat::supervisor;
using proto::Stage;

namespace {

struct Scaled {
  config::Pipeline pipeline;
  std::list<Worker> workers;
  Clock::time_point now = Clock::now();

  Scaled() {
    pipeline.process.steps.emplace_back();
    pipeline.process.workers = {1, 4};
  }
  void add(Stage stage, double busy, double blocked) {
    Worker& worker = workers.emplace_back();
    worker.slot = {stage, 0};
    worker.recent.shares = {stage, 1, busy, blocked, 0};
    worker.recent.new_records = 10;
    worker.recent.new_service_ns = 500'000'000;
  }
  // A processor that is busy all the time, and a filter that waits for it.
  void saturate() {
    add(Stage::kFilter, 0.2, 0.8);
    add(Stage::kProcessor, 1, 0);
    add(Stage::kWriter, 0.1, 0);
  }
  std::optional<Scaling::Change> after(int samples, Scaling& scaling, bool room = true) {
    for (int i = 0; i < samples; ++i) {
      now += Controller::kInterval;
      if (auto change = scaling.sample(workers, now, [&](int) { return room; })) return change;
    }
    return std::nullopt;
  }
};

}  // namespace

TEST_CASE("a run that follows begins with the fewest processors, one that ends with the most") {
  Scaled at;
  CHECK(Scaling(at.pipeline, true).wanted() == 1);
  CHECK(Scaling(at.pipeline, false).wanted() == 4);
  at.pipeline.process.steps.clear();
  CHECK(Scaling(at.pipeline, false).wanted() == 0);
}

TEST_CASE("what is asked for holds until it is automatic again") {
  Scaled at;
  Scaling scaling(at.pipeline, true);
  CHECK(scaling.automatic());
  auto change = scaling.ask(3);
  REQUIRE(change);
  CHECK(change->from == 1);
  CHECK(change->to == 3);
  CHECK_FALSE(scaling.automatic());
  CHECK_FALSE(scaling.ask(3));
  scaling.automate();
  CHECK(scaling.automatic());
  CHECK(scaling.wanted() == 3);
}

TEST_CASE("processors that are the bottleneck become more, if there is room") {
  Scaled at;
  at.saturate();
  Scaling scaling(at.pipeline, true);
  CHECK_FALSE(at.after(10, scaling, false));
  CHECK(scaling.wanted() == 1);
  Scaling roomy(at.pipeline, true);
  auto change = at.after(10, roomy);
  REQUIRE(change);
  CHECK(change->to == 2);
  CHECK(roomy.wanted() == 2);
}

TEST_CASE("a processor that is draining is none") {
  Scaled at;
  at.saturate();
  at.add(Stage::kProcessor, 0, 0);
  at.workers.back().draining.emplace();
  Scaling scaling(at.pipeline, true);
  auto change = at.after(10, scaling);
  REQUIRE(change);
  CHECK(change->to == 2);
}
