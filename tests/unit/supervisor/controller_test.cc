#include "daemon/supervisor/controller.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>

using leat::supervisor::Controller;
using std::chrono::milliseconds;
using std::chrono::seconds;

namespace {

// A pipeline in which a worker of the pool takes so many records a second and the stage before it gives at most so many,
// seen by the controller twice a second.
struct World {
  explicit World(int min, int max) : controller(min, max), workers(min) {}

  double each = 100;    // records a second that one worker does
  double supply = 400;  // that come
  double cores = 1000;  // workers beyond that many bring nothing
  int room = 1000;      // workers that memory has room for
  double batch = 0;     // records that count at once, when the last of them is done; 0: no lumps
  double done = 0;
  int changes = 0;
  std::string reason;
  Controller controller;
  int workers;
  Controller::Clock::time_point now{};

  void pass(seconds time) {
    for (milliseconds passed{0}; passed < time; passed += Controller::kInterval) {
      now += Controller::kInterval;
      double capacity = each * std::min<double>(workers, cores);
      double rate = std::min(capacity, supply);
      Controller::View view;
      view.now = now;
      view.workers = view.own = workers;
      view.busy = capacity <= 0 ? 1 : std::min(1.0, supply / capacity);
      view.blocked_before = supply <= 0 ? 0 : 1 - rate / supply;
      view.records = rate * 0.5;
      view.service_s = 0.5 * std::min<double>(workers, workers * view.busy);
      view.delivered = rate > 0 ? workers : 0;
      if (batch > 0) {
        double before = std::floor(done / batch);
        done += rate * 0.5;
        double batches = std::floor(done / batch) - before;
        view.records = batches * batch;
        view.service_s = capacity > 0 ? view.records * workers / capacity : 0;
        view.delivered = std::min(workers, static_cast<int>(batches));
      }
      if (auto decision = controller.update(view)) {
        if (decision->own > room) {
          controller.refused(now);
          continue;
        }
        CHECK(decision->own != workers);
        CHECK_FALSE(decision->reason.empty());
        reason = decision->reason;
        workers = decision->own;
        ++changes;
      }
    }
  }
};

}  // namespace

TEST_CASE("a pool that is a quarter of what is needed grows to four within 20 s and stays there") {
  World world(1, 8);
  world.pass(seconds(20));
  CHECK(world.workers == 4);
  CHECK(world.changes == 3);
  world.pass(seconds(600));
  CHECK(world.workers == 4);
  CHECK(world.changes == 3);
}

TEST_CASE("an idle pool shrinks to its minimum, one at a time, and grows again when work comes") {
  World world(1, 8);
  world.pass(seconds(20));
  world.supply = 0;
  world.pass(seconds(10));
  CHECK(world.workers == 2);
  world.pass(seconds(20));
  CHECK(world.workers == 1);
  world.supply = 400;
  world.pass(seconds(20));
  CHECK(world.workers == 4);
}

TEST_CASE("a worker that brings nothing is taken away again and not tried for a minute") {
  World world(1, 8);
  world.cores = 2;
  world.supply = 1000;
  world.pass(seconds(30));
  CHECK(world.workers == 2);
  CHECK(world.reason.find("gave no speed-up") != std::string::npos);
  int before = world.changes;
  world.pass(seconds(30));
  CHECK(world.changes == before);
  world.pass(seconds(3600));
  CHECK(world.workers <= 3);
  CHECK(world.changes <= before + 14);  // the pauses between two tries grow to 15 minutes
}

TEST_CASE("a supply that comes and goes around what a pool can do does not make it swing") {
  World world(1, 8);
  world.pass(seconds(20));
  int before = world.changes;
  for (int i = 0; i < 200; ++i) {
    world.supply = i % 2 == 0 ? 330 : 420;
    world.pass(seconds(3));
  }
  CHECK(world.changes - before <= 1);
}

TEST_CASE("without a minimum the pool can be empty, and one comes when the stage before has something") {
  World world(0, 2);
  world.supply = 0;
  world.pass(seconds(10));
  CHECK(world.workers == 0);
  world.supply = 50;
  world.pass(seconds(10));
  CHECK(world.workers == 1);
  world.supply = 0;
  world.pass(seconds(10));
  CHECK(world.workers == 0);
}

TEST_CASE("more than the maximum is brought back to it") {
  World world(1, 2);
  world.workers = 5;
  world.pass(seconds(1));
  CHECK(world.workers == 2);
}

TEST_CASE("one that there was no room for was no trial, and none is taken away for it") {
  World world(1, 8);
  world.room = 3;
  world.pass(seconds(600));
  CHECK(world.workers == 3);
  CHECK(world.changes == 2);
}

TEST_CASE("batches that take seconds let the pool grow as well, of one record or of many") {
  for (double batch : {1.0, 70.0}) {
    for (double seconds_done : {0.0, 0.7, 1.3, 2.9, 4.1}) {
      World world(1, 4);
      world.batch = batch;
      world.each = batch / 5;  // 5 s for each
      world.supply = 100 * batch;
      world.done = world.each * seconds_done;
      world.pass(seconds(120));
      CHECK(world.workers == 4);
      CHECK(world.changes == 3);
    }
  }
}

// A pool of one did 98 records/s, seemed to do 172 as a batch counted that had begun long before, and the second worker
// was taken away again.
TEST_CASE("a long batch that ends while it is looked does not make a worker look fast") {
  Controller controller(1, 8);
  Controller::View view;
  view.workers = view.own = 1;
  view.busy = 1;
  view.blocked_before = 0.7;
  view.delivered = 1;
  std::optional<Controller::Decision> decision;
  for (double records : {250, 20, 20}) {
    CHECK_FALSE(decision);
    view.now += Controller::kInterval;
    view.records = records;
    view.service_s = records * 0.01;
    decision = controller.update(view);
  }
  REQUIRE(decision);
  CHECK(decision->own == 2);
  view.workers = view.own = 2;
  view.delivered = 2;
  view.records = 100;
  view.service_s = 1;
  for (int i = 0; i < 8; ++i) {
    view.now += Controller::kInterval;
    decision = controller.update(view);
    if (decision) break;
  }
  CHECK((!decision || decision->own == 3));
}
