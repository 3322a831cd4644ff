#include "proto/base/result.h"

#include <doctest/doctest.h>

#include <memory>
#include <string>
#include <vector>

using namespace leat;

namespace {

Result<std::unique_ptr<int>> number(int n) {
  if (n < 0) return fail(Fault::kReject, "below zero", kExitConfig);
  return std::make_unique<int>(n);
}

Result<void> check(int n) {
  LEAT_TRY(number(n));
  return {};
}

Result<std::string> text(int n, std::vector<int>& after) {
  LEAT_TRY(check(n - 10));
  after.push_back(n);
  const std::unique_ptr<int> value = LEAT_TRY(number(n));
  return std::to_string(*value);
}

}  // namespace

TEST_CASE("a value goes on, and an error returns with all that it says before anything else is done") {
  std::vector<int> after;
  CHECK(text(12, after) == "12");
  const auto failed = text(3, after);
  REQUIRE_FALSE(failed.has_value());
  CHECK(failed.error().text == "below zero");
  CHECK(failed.error().fault == Fault::kReject);
  CHECK(failed.error().exit_code == kExitConfig);
  CHECK(after == std::vector{12});
}
