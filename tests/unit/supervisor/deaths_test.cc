#include "daemon/supervisor/deaths.h"

#include <doctest/doctest.h>

using namespace leat::supervisor;
using leat::proto::Stage;
using std::chrono::milliseconds;

TEST_CASE("deaths of a stage add up until something is committed") {
  Deaths deaths;
  CHECK(deaths.in_a_row(Stage::kFilter, 4) == 1);
  CHECK(deaths.in_a_row(Stage::kFilter, 4) == 2);
  CHECK(deaths.in_a_row(Stage::kWriter, 4) == 1);
  CHECK(deaths.in_a_row(Stage::kFilter, 5) == 1);
}

TEST_CASE("the first death is answered at once, the others ever later, but not for ever") {
  CHECK(Deaths::pause(1) == milliseconds(0));
  CHECK(Deaths::pause(2) == milliseconds(50));
  CHECK(Deaths::pause(3) == milliseconds(100));
  CHECK(Deaths::pause(9) == milliseconds(2'000));
  CHECK(Deaths::pause(1'000'000) == milliseconds(2'000));
}

TEST_CASE("deaths are laid at the door of one record of one source") {
  Deaths deaths;
  CHECK(deaths.at_record(1, 100) == 1);
  CHECK(deaths.at_record(1, 101) == 1);
  CHECK(deaths.at_record(2, 100) == 1);
  CHECK(deaths.at_record(1, 100) == 2);
  CHECK(deaths.at_record(1, 100) == Deaths::kMostAtARecord);
  deaths.forget_record(1, 100);
  CHECK(deaths.at_record(1, 100) == 1);
}
