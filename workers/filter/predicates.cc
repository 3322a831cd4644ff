// The order of a chain
//
// A chain of independent tests costs least when they stand in the order of cost / P(it ends the chain),
// smallest first. Both are measured, as neither can be guessed: a regular expression on a short field may be
// cheaper than a look-up in a set that lies out of the cache.
//
// On a sampled record every predicate is evaluated, also those behind one that decided: measuring only those
// that are reached would give the rate of what others have let through, and nothing at all on the last one.
// Only leaves are timed; what a nested chain costs follows from its leaves. Each timed leaf decodes its
// string again. If not, of two predicates on one field the second would always look cheaper for finding it
// decoded, and they would swap for ever.
//
// A sample that was hit by an interrupt may read a thousand times too much, so one sample can not even double
// an average. An order is replaced only by one that promises to save a fifth, so that noise does not move it.
#include "workers/filter/predicates.h"

#include <algorithm>
#include <chrono>
#include <limits>
#include <utility>

#include "workers/filter/describe.h"

namespace leat::filter {
namespace {

using config::Predicate;
using Clock = std::chrono::steady_clock;

constexpr std::uint32_t kSampleEvery = 64;          // records, while there is much to learn
constexpr std::uint64_t kEagerSamples = 256;        // how long that is
constexpr std::uint32_t kSampleEveryLater = 512;    // records; sampling costs what the chain would have saved
constexpr std::uint64_t kReorderEverySamples = 32;  // so every 2,048 records, later every 16,384
constexpr double kWorthwhile = 0.8;                 // of the cost so far
constexpr double kCostWeight = 1.0 / 8;
constexpr double kPassWeight = 1.0 / 64;

double elapsed_ns(Clock::time_point since) {
  return std::chrono::duration<double, std::nano>(Clock::now() - since).count();
}

double measure_clock() {
  double least = std::numeric_limits<double>::max();
  for (int i = 0; i < 32; ++i) least = std::min(least, elapsed_ns(Clock::now()));
  return least;
}

}  // namespace

Result<Predicates> Predicates::compile(std::span<const Predicate> keep, json::Paths& paths) {
  Predicates predicates;
  predicates.nodes_.emplace_back();
  for (const Predicate& predicate : keep) {
    const Result<std::uint32_t> child = predicates.add(predicate, paths, 0);
    if (!child) return tl::unexpected<Error>(child.error());
    predicates.nodes_[0].children.push_back(*child);
  }
  predicates.clock_ns_ = measure_clock();
  return predicates;
}

Result<std::uint32_t> Predicates::add(const Predicate& predicate, json::Paths& paths, int depth) {
  using Op = Predicate::Op;
  const auto id = static_cast<std::uint32_t>(nodes_.size());
  nodes_.emplace_back();
  nodes_[id].tally.text = describe(predicate);
  nodes_[id].tally.where = predicate.where;
  nodes_[id].tally.depth = depth;
  if (predicate.op != Op::kAll && predicate.op != Op::kAny && predicate.op != Op::kNot) {
    Result<Leaf> leaf = Leaf::compile(predicate, paths, sets_);
    if (!leaf) return tl::unexpected<Error>(leaf.error());
    texts_.make_room(leaf->slot() + 1);
    nodes_[id].kind = Kind::kLeaf;
    nodes_[id].leaf.emplace(std::move(*leaf));
    return id;
  }
  nodes_[id].kind = predicate.op == Op::kAll   ? Kind::kAll
                    : predicate.op == Op::kAny ? Kind::kAny
                                               : Kind::kNot;
  if (predicate.op == Op::kNot && predicate.children.size() != 1) {
    return fail(Fault::kFatal, "filter.keep: `not` takes exactly one predicate", kExitConfig);
  }
  for (const Predicate& child : predicate.children) {
    Result<std::uint32_t> child_id = add(child, paths, depth + 1);
    if (!child_id) return child_id;
    nodes_[id].children.push_back(*child_id);
  }
  return id;
}

bool Predicates::keep(Values values) {
  texts_.next_record();
  if (--until_sample_ == 0) [[unlikely]]
    return keep_and_sample(values);
  return evaluate(nodes_[0], values);
}

bool Predicates::evaluate(Node& node, Values values) {
  if (node.kind == Kind::kLeaf) return test(node, values);
  bool passed = false;
  if (node.kind == Kind::kNot) {
    passed = !evaluate(nodes_[node.children[0]], values);
  } else {
    const bool decides = node.kind == Kind::kAny;
    passed = !decides;
    for (const std::uint32_t id : node.children) {
      Node& child = nodes_[id];
      if ((child.kind == Kind::kLeaf ? test(child, values) : evaluate(child, values)) == decides) {
        passed = decides;
        break;
      }
    }
  }
  return count(node, passed);
}

bool Predicates::count(Node& node, bool passed) {
  ++node.tally.evaluated;
  node.tally.passed += passed;
  return passed;
}

bool Predicates::test(Node& node, Values values) {
  const Leaf& leaf = *node.leaf;
  const json::Value& value = values[leaf.slot()];
  if (value.type == json::Type::kMissing) {
    node.tally.missing += !leaf.about_presence();
    return count(node, leaf.negated());
  }
  const Match match = leaf.match(value, texts_);
  node.tally.other_type += match == Match::kOtherType;
  return count(node, (match == Match::kYes) != leaf.negated());
}

bool Predicates::keep_and_sample(Values values) {
  until_sample_ = ++samples_ < kEagerSamples ? kSampleEvery : kSampleEveryLater;
  const bool passed = sample(nodes_[0], values);
  if (samples_ % kReorderEverySamples == 0) {
    // Children stand behind their parents: from the back, a chain knows the new cost of those in it.
    for (std::size_t id = nodes_.size(); id-- > 0;) reorder(nodes_[id]);
  }
  return passed;
}

bool Predicates::sample(Node& node, Values values) {
  bool passed = node.kind == Kind::kAll;
  switch (node.kind) {
    case Kind::kLeaf:
      passed = time_leaf(node, values);
      break;
    case Kind::kNot: {
      Node& child = nodes_[node.children[0]];
      passed = !sample(child, values);
      node.tally.cost_ns = child.tally.cost_ns;
      break;
    }
    case Kind::kAll:
    case Kind::kAny:
      for (const std::uint32_t child : node.children) {
        const bool held = sample(nodes_[child], values);
        passed = node.kind == Kind::kAll ? passed && held : passed || held;
      }
      node.tally.cost_ns = expected_cost(node, node.children);
      break;
  }
  if (node.kind != Kind::kLeaf) count(node, passed);
  const double weight = std::max(1.0 / static_cast<double>(++node.samples), kPassWeight);
  node.tally.pass_rate += weight * ((passed ? 1.0 : 0.0) - node.tally.pass_rate);
  return passed;
}

bool Predicates::time_leaf(Node& node, Values values) {
  texts_.next_record();
  const Clock::time_point begin = Clock::now();
  const bool passed = test(node, values);
  const double spent = std::max(elapsed_ns(begin) - clock_ns_, 1.0);
  double& cost = node.tally.cost_ns;
  cost += kCostWeight * (std::min(spent, 8 * cost + 100) - cost);
  return passed;
}

double Predicates::expected_cost(const Node& chain, std::span<const std::uint32_t> order) const {
  double cost = 0;
  double reached = 1;
  for (const std::uint32_t id : order) {
    const Tally& child = nodes_[id].tally;
    cost += reached * child.cost_ns;
    reached *= chain.kind == Kind::kAll ? child.pass_rate : 1 - child.pass_rate;
  }
  return cost;
}

void Predicates::reorder(Node& chain) {
  if (chain.kind == Kind::kLeaf || chain.kind == Kind::kNot) return;
  const auto rank = [&](std::uint32_t id) {
    const Tally& child = nodes_[id].tally;
    const double ends = chain.kind == Kind::kAll ? 1 - child.pass_rate : child.pass_rate;
    return child.cost_ns / std::max(ends, 1e-3);
  };
  std::vector<std::uint32_t> better = chain.children;
  std::stable_sort(better.begin(), better.end(), [&](auto a, auto b) { return rank(a) < rank(b); });
  const double cost = expected_cost(chain, better);
  if (cost < kWorthwhile * expected_cost(chain, chain.children)) chain.children = std::move(better);
  chain.tally.cost_ns = expected_cost(chain, chain.children);
}

std::vector<Predicates::Tally> Predicates::tallies() const {
  std::vector<Tally> out;
  for (std::size_t id = 1; id < nodes_.size(); ++id) out.push_back(nodes_[id].tally);
  return out;
}

std::vector<std::size_t> Predicates::order() const {
  std::vector<std::uint32_t> written = nodes_[0].children;
  std::sort(written.begin(), written.end());  // ids ascend as the config was written
  std::vector<std::size_t> out;
  for (const std::uint32_t id : nodes_[0].children) {
    out.push_back(
        static_cast<std::size_t>(std::lower_bound(written.begin(), written.end(), id) - written.begin()));
  }
  return out;
}

}  // namespace leat::filter
