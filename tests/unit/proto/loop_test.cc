#include "proto/loop.h"

#include <doctest/doctest.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <cstdint>
#include <string>
#include <vector>

#include "proto/base/fd.h"

using namespace leat;
using namespace leat::proto;
using std::chrono::milliseconds;

namespace {

constexpr milliseconds kPatience{10'000};

Fd readable() {
  Fd fd(::eventfd(1, EFD_CLOEXEC | EFD_NONBLOCK));
  REQUIRE(fd);
  return fd;
}

// A clock that a test sets, so that no test waits for its timers.
struct Hand {
  Loop::Clock::time_point now{};
  Loop loop{[this] { return now; }};
  void turn(milliseconds by) {
    now += by;
    loop.run_once(milliseconds{0});
  }
};

}  // namespace

TEST_CASE("what has come is handled in the order in which it was added, as long as it is there") {
  Loop loop;
  Fd first = readable();
  Fd second = readable();
  std::string order;
  loop.add(first.get(), [&] { order += 'a'; });
  loop.add(second.get(), [&] {
    order += 'b';
    std::uint64_t count = 0;
    CHECK(::read(second.get(), &count, sizeof count) == sizeof count);
  });
  CHECK(loop.run_once(kPatience));
  CHECK(loop.run_once(kPatience));
  CHECK(order == "aba");
}

TEST_CASE("what is not watched is neither waited for nor handled, and comes when it is watched again") {
  Loop loop;
  Fd fd = readable();
  Fd other = readable();
  int handled = 0;
  auto id = loop.add(fd.get(), [&] { ++handled; });
  loop.watch(id, false);
  CHECK_FALSE(loop.run_once(milliseconds{0}));
  auto stops = loop.add(other.get(), [&] { loop.watch(id, false); });
  loop.watch(id, true);
  CHECK(loop.run_once(kPatience));
  CHECK(handled == 1);
  loop.watch(stops, false);
  CHECK_FALSE(loop.run_once(milliseconds{0}));
  loop.watch(id, true);
  CHECK(loop.run_once(kPatience));
  CHECK(handled == 2);
}

TEST_CASE("a handler may stop what is behind it, and what is removed leaves its id to another") {
  Loop loop;
  Fd first = readable();
  Fd second = readable();
  int handled = 0;
  Loop::Id later = 0;
  auto once = loop.add(first.get(), [&] { loop.remove(later); });
  later = loop.add(second.get(), [&] { ++handled; });
  CHECK(loop.run_once(kPatience));
  CHECK(handled == 0);
  loop.remove(once);
  CHECK_FALSE(loop.run_once(milliseconds{0}));
  std::vector<Loop::Id> again{loop.add(second.get(), [&] { ++handled; }), loop.add(second.get())};
  CHECK(again == std::vector<Loop::Id>{once, later});
  CHECK(loop.run_once(kPatience));
  CHECK(handled == 1);
}

TEST_CASE("a handler may add many others, and goes on") {
  Loop loop;
  Fd fd = readable();
  int added = 0;
  std::string kept(100, 'x');
  auto id = loop.add(fd.get(), [&, kept] {
    for (int i = 0; i < 100; ++i) loop.every(milliseconds{1'000}, [&] { ++added; });
    CHECK(kept == std::string(100, 'x'));
  });
  CHECK(loop.run_once(kPatience));
  loop.watch(id, false);
  CHECK_FALSE(loop.run_once(milliseconds{0}));
  CHECK(added == 0);
}

// A ZeroMQ socket's own descriptor tells of a change only, and once.
TEST_CASE("messages that a handler leaves in a socket are told of again") {
  Loop loop;
  Context context;
  Socket pull(context, SocketKind::kPull, 16);
  pull.bind("inproc://loop");
  Socket push(context, SocketKind::kPush, 16);
  push.connect("inproc://loop");
  for (int i = 0; i < 3; ++i) {
    Message message(std::to_string(i));
    REQUIRE(push.try_send(message));
  }
  std::string received;
  loop.add(pull, [&] { received += pull.try_receive()->view(); });
  while (received.size() < 3) REQUIRE(loop.run_once(kPatience));
  CHECK(received == "012");
  CHECK_FALSE(loop.run_once(milliseconds{0}));
}

TEST_CASE("a timer comes when it is due: once, or after each period") {
  Hand hand;
  int once = 0;
  int often = 0;
  auto timer = hand.loop.after(milliseconds{100}, [&] { ++once; });
  hand.loop.every(milliseconds{40}, [&] { ++often; });
  hand.turn(milliseconds{39});
  CHECK((once == 0 && often == 0));
  hand.turn(milliseconds{1});
  CHECK((once == 0 && often == 1));
  hand.turn(milliseconds{1'000});
  CHECK((once == 1 && often == 2));  // what was missed is not made up for
  hand.turn(milliseconds{1'000});
  CHECK((once == 1 && often == 3));
  hand.loop.set(timer, milliseconds{10});
  hand.turn(milliseconds{10});
  CHECK((once == 2 && often == 3));
}

TEST_CASE("a timer that is stopped starts with a whole period") {
  Hand hand;
  int times = 0;
  auto timer = hand.loop.every(milliseconds{100}, [&] { ++times; });
  hand.turn(milliseconds{99});
  hand.loop.watch(timer, true);  // it is already
  hand.turn(milliseconds{1});
  CHECK(times == 1);
  hand.loop.watch(timer, false);
  hand.turn(milliseconds{500});
  CHECK(times == 1);
  hand.loop.watch(timer, true);
  hand.turn(milliseconds{99});
  CHECK(times == 1);
  hand.turn(milliseconds{1});
  CHECK(times == 2);
}

TEST_CASE("a wait ends for the first timer, and a loop with nothing but timers runs until it is left") {
  Loop loop;
  int times = 0;
  loop.every(milliseconds{1}, [&] {
    if (++times == 3) loop.leave();
  });
  loop.run();
  CHECK(times == 3);
  CHECK(loop.run_once());  // and may be waited in again
  CHECK(times == 4);
}
