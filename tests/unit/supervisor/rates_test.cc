#include "daemon/supervisor/rates.h"

#include <doctest/doctest.h>

using namespace leat::supervisor;

TEST_CASE("rates are those of the last seconds") {
  RateMeter meter;
  Snapshot snapshot;
  Rates rates;
  for (int i = 1; i <= 100; ++i) {
    snapshot.seconds = i * 0.2;
    snapshot.bytes_in = static_cast<std::uint64_t>(i <= 50 ? i * 1000 : 50'000);
    rates = meter.add(snapshot);
    if (i == 50) CHECK(rates.bytes == doctest::Approx(5000));
  }
  CHECK(rates.bytes == doctest::Approx(0));
}
