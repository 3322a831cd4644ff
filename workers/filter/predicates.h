// filter.keep, compiled: is this record wanted?
//
// all and any stop at the first child that decides, and put their children in the order that is expected to
// decide soonest, from costs and pass rates measured on a sample of the records. The answer never depends on
// the order; the counters do, as a predicate behind the one that decided is not evaluated.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "config/pipeline.h"
#include "proto/base/result.h"
#include "workers/filter/leaf.h"
#include "workers/stage/json/scan.h"

namespace leat::filter {

class Predicates {
 public:
  // Adds the fields to paths, and reads the files of in_file. Fails (kFatal) as Set::load does.
  [[nodiscard]] static Result<Predicates> compile(std::span<const config::Predicate> keep,
                                                  json::Paths& paths);

  // values: by the slots of `paths`, of a record that the scanner has accepted; its text has to live for the
  // call only. A missing field or one of another type makes a predicate false, but missing, ne, not_in and
  // not_in_file true. Does not allocate, unless a string with escapes is longer than those before.
  [[nodiscard]] bool keep(std::span<const json::Value> values);

  std::size_t memory_bytes() const { return sets_.memory_bytes(); }  // of the sets

  // What became of one predicate. Counted since compile(), sampled records included.
  struct Tally {
    std::uint64_t evaluated = 0;
    std::uint64_t passed = 0;
    std::uint64_t missing = 0;     // evaluated on a record without the field (not for exists and missing)
    std::uint64_t other_type = 0;  // evaluated on a value of a type it cannot match
    double cost_ns = 0;            // sampled, moving average; 0: not sampled yet
    double pass_rate = 0.5;        // of the sampled records, whether other predicates held or not
    std::string text;              // describe()
    int depth = 0;  // 0: an entry of filter.keep; its children follow it with depth 1, and so on
    config::Where where;
  };
  std::vector<Tally> tallies() const;  // as in the config, parents before children

  std::vector<std::size_t> order() const;  // entries of filter.keep as they are evaluated now

 private:
  enum class Kind : std::uint8_t { kAll, kAny, kNot, kLeaf };
  struct Node {
    Kind kind = Kind::kAll;
    std::optional<Leaf> leaf;
    std::vector<std::uint32_t> children;  // in the order of evaluation
    Tally tally;
    std::uint64_t samples = 0;
  };
  using Values = std::span<const json::Value>;

  Predicates() = default;
  Result<std::uint32_t> add(const config::Predicate& predicate, json::Paths& paths, int depth);
  bool evaluate(Node& node, Values values);
  bool test(Node& node, Values values);
  static bool count(Node& node, bool passed);
  bool sample(Node& node, Values values);
  bool time_leaf(Node& node, Values values);
  double expected_cost(const Node& chain, std::span<const std::uint32_t> order) const;
  void reorder(Node& chain);
  bool keep_and_sample(Values values);

  Sets sets_;
  Texts texts_;
  std::vector<Node> nodes_;  // parents before children; nodes_[0] is filter.keep itself
  std::uint32_t until_sample_ = 1;
  std::uint64_t samples_ = 0;
  double clock_ns_ = 0;  // what reading the clock costs
};

}  // namespace leat::filter
