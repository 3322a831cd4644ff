#include "daemon/log/limiter.h"

#include <doctest/doctest.h>

using namespace leat::log;
using namespace std::chrono_literals;

namespace {
const Limiter::Time kStart = Limiter::Time() + 1h;

int admitted(Limiter& limiter, int tries, const char* event, const char* pipeline, Limiter::Time now) {
  int count = 0;
  for (int i = 0; i < tries; ++i) count += limiter.admit(event, pipeline, Level::kWarning, now) ? 1 : 0;
  return count;
}
}  // namespace

TEST_CASE("twenty pass, and each event of each pipeline has its own count") {
  Limiter limiter;
  CHECK(admitted(limiter, 30, "died", "a", kStart) == 20);
  CHECK(admitted(limiter, 30, "died", "b", kStart) == 20);
  CHECK(admitted(limiter, 30, "joined", "a", kStart) == 20);
  CHECK(admitted(limiter, 30, "died", "a", kStart + 9s) == 0);
}

TEST_CASE("what was held back is told once, when the time is over, as urgent as the most urgent of it") {
  Limiter limiter;
  admitted(limiter, 25, "died", "a", kStart);
  limiter.admit("died", "a", Level::kError, kStart + 1s);
  admitted(limiter, 20, "joined", "a", kStart);
  CHECK(limiter.over(kStart + 9999ms).empty());
  const auto held = limiter.over(kStart + 10s);
  REQUIRE(held.size() == 1);
  CHECK(held[0].event == "died");
  CHECK(held[0].pipeline == "a");
  CHECK(held[0].level == Level::kError);
  CHECK(held[0].count == 6);
  CHECK(limiter.over(kStart + 1h).empty());
  CHECK(admitted(limiter, 30, "died", "a", kStart + 10s) == 20);
}
