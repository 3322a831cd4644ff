#include "workers/reader/pace.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <functional>

using leat::reader::Pace;

namespace {

constexpr double kRecordBytes = 100;

// Records in a batch after 30 batches, each of which takes service_us(records).
double settled(const std::function<double(double)>& service_us) {
  Pace pace(256 * 1024);
  double records = 0;
  for (int i = 0; i < 30; ++i) {
    records = std::max(1.0, static_cast<double>(pace.target_bytes()) / kRecordBytes);
    pace.learn(service_us(records), records, kRecordBytes);
  }
  return records;
}

}  // namespace

TEST_CASE("batches are as large as they may be while work is fast") {
  CHECK(settled([](double records) { return records; }) > 2600);
}

TEST_CASE("a batch takes about 100 ms, down to one record") {
  CHECK(settled([](double records) { return 1e3 * records; }) == doctest::Approx(100));
  CHECK(settled([](double records) { return 1e6 * records; }) == doctest::Approx(1));
}

// A child that did not flush took a second for each batch, so batches shrank to one record a second.
TEST_CASE("a cost of each batch does not make batches small") {
  CHECK(settled([](double records) { return 1e6 + records; }) > 500);
}

// A child that is started for each batch takes now this long, now that: what was by chance was taken for what records take,
// so that batches shrank, and 3,000 records took minutes.
TEST_CASE("a cost of each batch that varies does not make batches small") {
  unsigned chance = 1;
  const auto cost = [&](double records) {
    chance = chance * 1103515245 + 12345;
    return 50e3 + 500e3 * (chance >> 16 & 0x7FFF) / 0x7FFF + 100 * records;
  };
  double all = 0;
  for (int i = 0; i < 200; ++i) all += settled(cost);
  CHECK(all / 200 > 1300);
}
