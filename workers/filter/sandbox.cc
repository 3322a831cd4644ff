#include "workers/filter/sandbox.h"

namespace leat::filter {

namespace {

void add_files(const config::Predicate& predicate, stage::Policy& policy) {
  using Op = config::Predicate::Op;
  if (predicate.op == Op::kInFile || predicate.op == Op::kNotInFile) {
    policy.paths.push_back({predicate.text, stage::kRead});
  }
  for (const auto& child : predicate.children) add_files(child, policy);
}

}  // namespace

// The files of in_file are read once, at its start.
stage::Policy sandbox(const config::Pipeline& pipeline, const stage::Surroundings& surroundings) {
  stage::Policy policy = stage::worker_policy(surroundings);
  for (const auto& predicate : pipeline.filter.keep) add_files(predicate, policy);
  policy.keep_capabilities = stage::file_capabilities();
  return policy;
}

}  // namespace leat::filter
