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
