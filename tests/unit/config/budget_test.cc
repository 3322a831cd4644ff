#include "config/budget.h"

#include <doctest/doctest.h>

#include "help.h"

using namespace leat::config;
using namespace leat::config::test;

namespace {
Pipeline typical() {
  Pipeline pipeline = good_after_head("process: {workers: 4, steps: [{drop: /a}]}\n");
  pipeline.sink.compression = Compression::kZstd;
  return pipeline;
}
}  // namespace

TEST_CASE("64 MiB are enough for four processors with zstd in and out") {
  const auto budget = plan_budget(typical(), 0);
  REQUIRE(budget);
  CHECK(budget->base_bytes == 8 * 3 * kMiB);
  CHECK(budget->codec_bytes == 9 * kMiB + 3663265);
  CHECK(budget->sets_bytes == 0);
  CHECK(budget->window_batches >= 6);
  CHECK(budget->window_bytes * 4 + budget->base_bytes + budget->codec_bytes <= 64 * kMiB);
}

TEST_CASE("without steps there are no processors to pay for") {
  Pipeline pipeline = typical();
  pipeline.process.steps.clear();
  CHECK(plan_budget(pipeline, 0)->base_bytes == 4 * 3 * kMiB);
}

TEST_CASE("the budget is for the most processors, or for so many as one asks") {
  Pipeline pipeline = typical();
  pipeline.process.workers = {1, 8};
  const auto most = plan_budget(pipeline, 0);
  const auto one = plan_budget(pipeline, 0, 1);
  REQUIRE(most);
  REQUIRE(one);
  CHECK(most->base_bytes == 12 * 3 * kMiB);
  CHECK(one->base_bytes == 5 * 3 * kMiB);
  CHECK(one->window_bytes - most->window_bytes == 7 * 3 * kMiB / 4);
  CHECK(plan_budget(pipeline, 0, 0)->base_bytes == 4 * 3 * kMiB);
}

TEST_CASE("one processor too many is refused with its number and the memory that would do") {
  const auto refused = plan_budget(typical(), 0, 14);
  REQUIRE_FALSE(refused);
  CHECK(refused.error().text.starts_with(
      "limits.memory: 64MiB is too little for 14 processors, 71MiB would do: "));
  CHECK(plan_budget(typical(), 0, 11));
}

TEST_CASE("codecs that are not used cost nothing") {
  Pipeline pipeline = typical();
  pipeline.source.compression = Compression::kNone;
  pipeline.sink.compression = Compression::kNone;
  CHECK(plan_budget(pipeline, 0)->codec_bytes == 0);
}

TEST_CASE("a budget that does not add up names the value that would do, and that value does") {
  Pipeline pipeline = typical();
  pipeline.sink.level = 19;
  const auto refused = plan_budget(pipeline, 0);
  REQUIRE_FALSE(refused);
  CHECK(refused.error().exit_code == leat::kExitConfig);
  const std::string& text = refused.error().text;
  CHECK(text.starts_with("limits.memory: 64MiB is too little for 4 processors, 127MiB would do: "));
  pipeline.limits.memory_bytes = 127 * kMiB;
  CHECK(plan_budget(pipeline, 0)->window_batches == 2);
  pipeline.limits.memory_bytes = 126 * kMiB;
  CHECK_FALSE(plan_budget(pipeline, 0));
}

TEST_CASE("sets count three times in every filter worker, whatever a file claims to be") {
  Pipeline pipeline = typical();
  pipeline.filter.workers = 2;
  pipeline.limits.memory_bytes = kGiB;
  CHECK(plan_budget(pipeline, 10 * kMiB)->sets_bytes == 60 * kMiB);
  CHECK_FALSE(plan_budget(pipeline, ~std::uint64_t{0}));
}

TEST_CASE("zstd threads cost far more than one context") {
  Pipeline pipeline = typical();
  pipeline.limits.memory_bytes = kGiB;
  pipeline.sink.threads = 2;
  CHECK(plan_budget(pipeline, 0)->codec_bytes == 9 * kMiB + 2 * 3663265 + 8 * 8 * kMiB);
}

TEST_CASE("the window is at most 64 batches") {
  Pipeline pipeline = typical();
  pipeline.limits.memory_bytes = 4 * kGiB;
  CHECK(plan_budget(pipeline, 0)->window_batches == 64);
}

TEST_CASE("the files of in_file are found in every corner, each once") {
  const Pipeline pipeline = good_after_head(
      "filter:\n  keep:\n    - {field: /a, in_file: b.txt}\n    - not: {any: [{field: /a, not_in_file: "
      "a.txt}]}\n"
      "    - {field: /c, in_file: b.txt, exists: true}\n");
  CHECK(in_files(pipeline) == std::vector<std::string>{"/etc/leat/a.txt", "/etc/leat/b.txt"});
}

TEST_CASE("thousands of predicates are counted, in every process") {
  Pipeline pipeline = good_after_head("process: {workers: 1, steps: [{drop: /a}]}\n");
  pipeline.limits.memory_bytes = 64 * kMiB;
  Predicate predicate;
  predicate.op = Predicate::Op::kNe;
  predicate.values.emplace_back();
  pipeline.filter.keep.assign(100, predicate);
  const auto usual = plan_budget(pipeline, 0);
  REQUIRE(usual.has_value());
  pipeline.filter.keep.assign(2000, predicate);
  const auto many = plan_budget(pipeline, 0);
  REQUIRE(many.has_value());
  CHECK(many->base_bytes > usual->base_bytes + 8 * kMiB);
  pipeline.filter.keep.assign(25'000, predicate);
  const auto refused = plan_budget(pipeline, 0);
  REQUIRE_FALSE(refused.has_value());
  CHECK(refused.error().exit_code == leat::kExitConfig);
}
