#include "daemon/plan/plan.h"

#include <doctest/doctest.h>

using namespace leat;
using namespace leat::plan;

TEST_CASE("a pipeline file that is not there is one problem") {
  Plan plan = load_plan("/nowhere/p.yaml");
  REQUIRE(plan.problems.size() == 1);
  CHECK(plan.problems[0].text.find("No such file") != std::string::npos);
}

TEST_CASE("steps are told as text") {
  config::Step step;
  step.op = config::Step::Op::kRename;
  step.moves = {{*config::Pointer::parse("/a"), *config::Pointer::parse("/b")},
                {*config::Pointer::parse("/c"), *config::Pointer::parse("/d")}};
  CHECK(describe(step) == "rename /a to /b, /c to /d");
}
