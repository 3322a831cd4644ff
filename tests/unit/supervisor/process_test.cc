#include "daemon/supervisor/process.h"

#include <doctest/doctest.h>
#include <poll.h>
#include <unistd.h>

#include <csignal>
#include <system_error>

#include "daemon/supervisor/snapshot.h"

using namespace leat::supervisor;

namespace {

void wait_for(Child& child) {
  pollfd wait{child.pidfd(), POLLIN, 0};
  REQUIRE(::poll(&wait, 1, 20'000) == 1);
  REQUIRE(child.reap());
}

}  // namespace

TEST_CASE("a child's end is told as exit code or signal") {
  Child failing = Child::start("/bin/sh", {"-c", "exit 70"});
  wait_for(failing);
  CHECK(failing.fate() == "exited with 70");
  CHECK(failing.exit_code() == 70);
  Child sleeping = Child::start("/bin/sleep", {"60"});
  CHECK_FALSE(sleeping.reap());
  sleeping.kill();
  wait_for(sleeping);
  CHECK(sleeping.fate() == "was killed by signal 9 (SIGKILL)");
  CHECK(sleeping.exit_code() == -1);
}

TEST_CASE("what a worker started dies with it") {
  // The shell leaves a sleeper behind; its process number comes back through a pipe that the sleeper holds
  // open.
  int ends[2];
  REQUIRE(::pipe(ends) == 0);
  Child child = Child::start("/bin/sh", {"-c", "sleep 60 & exit 0"});
  ::close(ends[1]);
  wait_for(child);
  pollfd hangup{ends[0], POLLIN, 0};
  CHECK(::poll(&hangup, 1, 20'000) == 1);  // nobody has the other end any more
  ::close(ends[0]);
}

TEST_CASE("a program that is not there is an error at once, not a child that dies") {
  CHECK_THROWS_AS(static_cast<void>(Child::start("/nowhere/leat-reader", {})), std::system_error);
}

TEST_CASE("capture gives stdout, and refuses too much of it and a bad exit code") {
  CHECK(capture("/bin/echo", {"hello"}, 100) == "hello\n");
  CHECK_FALSE(capture("/bin/sh", {"-c", "yes"}, 1000));
  auto failed = capture("/bin/sh", {"-c", "exit 78"}, 100);
  REQUIRE_FALSE(failed);
  CHECK(failed.error().exit_code == 78);
  CHECK_FALSE(capture("/nowhere/leat-reader", {}, 100));
}

TEST_CASE("our own memory can be seen, that of nobody is nothing") {
  CHECK(pss_bytes(::getpid()) > 100 * 1024);
  CHECK(pss_bytes(0x3fffffff) == 0);
}

TEST_CASE("shares are means over a pool, and the busiest stage is found") {
  using leat::proto::Stage;
  auto stages = mean_by_stage({{Stage::kReader, 1, 0.2, 0.5, 0.3},
                               {Stage::kProcessor, 1, 1.0, 0, 0},
                               {Stage::kProcessor, 1, 0.5, 0, 0.5},
                               {Stage::kWriter, 1, 0.1, 0, 0.9}});
  REQUIRE(stages.size() == 3);
  CHECK(stages[1].workers == 2);
  CHECK(stages[1].busy == doctest::Approx(0.75));
  CHECK(busiest(stages)->stage == Stage::kProcessor);
  CHECK(busiest({}) == nullptr);
}
