// A value of the pipeline file together with where it stands and what it is called, and the ways to read it.
// Every reader reports what it did not expect and continues, so that one run shows all errors.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "config/keys.h"
#include "config/yaml/parse.h"
#include "config/yaml/yaml.h"

namespace leat::config {

// Collects at most kMaxProblems; a note stands for the rest.
class Problems {
 public:
  static constexpr std::size_t kMaxProblems = 200;

  explicit Problems(std::string file) : file_(std::move(file)) {}
  void add(Where where, std::string key, std::string text);
  std::vector<Problem> take();  // in the order of the file

 private:
  std::string file_;
  std::vector<Problem> problems_;
  std::size_t left_out_ = 0;
};

// Borrows the node and the problems: both outlive it.
class Value {
 public:
  Value(const Node& node, std::string key, Problems& problems)
      : node_(&node), key_(std::move(key)), problems_(&problems) {}

  const Node& node() const { return *node_; }
  const std::string& key() const { return key_; }
  Where where() const { return node_->where; }
  bool is(Node::Kind kind) const { return node_->kind == kind; }

  void problem(std::string text) const { problems_->add(where(), key_, std::move(text)); }
  void problem_at(const Node::Key& name, std::string text) const;  // at a key of this mapping
  void expected(std::string_view what,
                std::string_view advice = "") const;  // "expected WHAT, got ...; ADVICE"

  Value item(std::size_t index) const;    // of a list: key[index]
  Value member(std::size_t index) const;  // of a mapping: key.name
  // The items of a list; anything else, or an empty list, is a problem and nullopt.
  std::optional<std::vector<Value>> list(std::string_view what) const;

  // nullopt: a problem was reported. Ranges include both ends.
  std::optional<std::string> text(std::string_view what = "a string") const;
  std::optional<bool> boolean() const;
  std::optional<std::int64_t> integer(std::int64_t least, std::int64_t most) const;
  std::optional<std::uint64_t> size(std::uint64_t least, std::uint64_t most) const;
  std::optional<std::chrono::milliseconds> duration(std::chrono::milliseconds least,
                                                    std::chrono::milliseconds most) const;
  std::optional<std::size_t> choice(Names names) const;  // index into names
  std::optional<Literal> literal() const;
  // `empty`: may it be "", the whole document?
  std::optional<Pointer> pointer(bool empty) const;
  // Any value as compact JSON text.
  std::optional<std::string> json() const;

 private:
  bool append_json(std::string& out) const;

  const Node* node_;
  std::string key_;
  Problems* problems_;
};

// A mapping with known keys. Reports another kind of value (nothing at all counts as an empty mapping),
// unknown keys and keys of a later version.
class Map {
 public:
  Map(const Value& value, const KeyTable& table);

  const Value& value() const { return value_; }
  std::optional<Value> find(std::string_view name) const;
  // Like find; a missing key is a problem.
  std::optional<Value> need(std::string_view name, std::string_view what) const;

  // Read a key that may be missing; `out` keeps its value when it is, or is wrong.
  void size(std::string_view name, std::uint64_t& out, std::uint64_t least, std::uint64_t most) const;
  void duration(std::string_view name, std::chrono::milliseconds& out, std::chrono::milliseconds least,
                std::chrono::milliseconds most) const;
  void integer(std::string_view name, int& out, int least, int most) const;

 private:
  Value value_;
};

}  // namespace leat::config
