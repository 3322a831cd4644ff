// Steps written short, and one record taken through them.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "workers/processor/steps.h"
#include "workers/stage/json/index.h"

namespace leat::processor::test {

using Op = config::Step::Op;
using Texts = std::initializer_list<std::string>;
using Pairs = std::initializer_list<std::pair<std::string, std::string>>;

inline config::Pointer pointer(const std::string& text) {
  return config::Pointer::parse(text).value();
}

inline config::Step on_fields(Op op, Texts names) {
  config::Step step;
  step.op = op;
  for (const std::string& field : names) step.pointers.push_back(pointer(field));
  return step;
}
inline config::Step drop(Texts fields) {
  return on_fields(Op::kDrop, fields);
}
inline config::Step keep(Texts fields) {
  return on_fields(Op::kKeep, fields);
}

inline config::Step on_moves(Op op, Pairs moves) {
  config::Step step;
  step.op = op;
  for (const auto& [from, to] : moves) step.moves.emplace_back(pointer(from), pointer(to));
  return step;
}
inline config::Step rename(Pairs moves) {
  return on_moves(Op::kRename, moves);
}
inline config::Step copy(Pairs moves) {
  return on_moves(Op::kCopy, moves);
}

inline config::Step on_values(Op op, Pairs values) {
  config::Step step;
  step.op = op;
  for (const auto& [field, json] : values) step.values.emplace_back(pointer(field), json);
  return step;
}
inline config::Step set(Pairs values) {
  return on_values(Op::kSet, values);
}
inline config::Step set_default(Pairs values) {
  return on_values(Op::kDefault, values);
}

inline config::Step length(const std::string& from, const std::string& to) {
  config::Step step;
  step.op = Op::kLength;
  step.from = pointer(from);
  step.to = pointer(to);
  return step;
}

inline config::Step hash(const std::string& from, const std::string& to,
                         config::HashAlgorithm algorithm = config::HashAlgorithm::kXxh64) {
  config::Step step = length(from, to);
  step.op = Op::kHash;
  step.algorithm = algorithm;
  return step;
}

inline config::Step shorten(const std::string& field, std::uint64_t length) {
  config::Step step;
  step.op = Op::kTruncate;
  step.from = pointer(field);
  step.length = length;
  return step;
}

inline config::Step replace(const std::string& field, const std::string& pattern, const std::string& with) {
  config::Step step;
  step.op = Op::kReplace;
  step.from = pointer(field);
  step.pattern = pattern;
  step.with = with;
  return step;
}

struct Outcome {
  std::string record;  // empty for a dead letter
  std::string reason;
  std::vector<std::uint64_t> misses;
};

// Stands the record in the middle of a batch and after another record, so that offsets are not those of the
// text.
inline Outcome run(Steps& steps, std::string_view record) {
  std::string text = "{\"before\":1}\n" + std::string(record) + "\n{\"behind\":2}\n";
  std::size_t size = text.size();
  text.append(kTailPadding, '\0');
  auto begin = static_cast<std::uint32_t>(13);
  auto end = static_cast<std::uint32_t>(13 + record.size());
  json::Index index;
  if (index.build({text.data(), size}) != json::IndexFault::kNone) throw std::runtime_error("not indexed");
  std::vector<std::uint32_t> positions;
  for (std::uint32_t at : index.positions()) {
    if (at >= begin && at < end) positions.push_back(at);
  }
  Buffer out;
  out.append("kept,");
  Outcome outcome;
  bool done = steps.apply({text.data(), size}, begin, end, positions, out, outcome.reason);
  std::string_view written = out.view();
  if (written.substr(0, 5) != "kept,") throw std::runtime_error("what stood in the buffer was lost");
  if (!done && written.size() != 5) throw std::runtime_error("a dead letter wrote something");
  outcome.record = written.substr(5);
  outcome.misses.assign(steps.misses().begin(), steps.misses().end());
  return outcome;
}

inline Outcome run(const std::vector<config::Step>& steps, std::string_view record) {
  Steps compiled = Steps::compile(steps).value();
  return run(compiled, record);
}

inline std::string after(const std::vector<config::Step>& steps, std::string_view record) {
  return run(steps, record).record;
}

inline std::vector<std::uint64_t> misses(const std::vector<config::Step>& steps, std::string_view record) {
  return run(steps, record).misses;
}

}  // namespace leat::processor::test
