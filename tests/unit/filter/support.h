// Predicates from a few words, asked about a record given as text.
#pragma once

#include <doctest/doctest.h>
#include <unistd.h>

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "proto/buffer.h"
#include "workers/filter/predicates.h"
#include "workers/stage/json/scan.h"

namespace leat::filter {

using config::Literal;
using config::Predicate;
using Op = Predicate::Op;

inline Literal null() {
  return {};
}
inline Literal boolean(bool value) {
  return {Literal::Type::kBool, value, ""};
}
inline Literal number(std::string text) {
  return {Literal::Type::kNumber, false, std::move(text)};
}
inline Literal string(std::string text) {
  return {Literal::Type::kString, false, std::move(text)};
}

inline Predicate leaf(std::string_view field, Op op) {
  Predicate predicate;
  predicate.op = op;
  predicate.field = config::Pointer::parse(field).value();
  return predicate;
}
inline Predicate leaf(std::string_view field, Op op, std::vector<Literal> values) {
  Predicate predicate = leaf(field, op);
  predicate.values = std::move(values);
  return predicate;
}
inline Predicate leaf(std::string_view field, Op op, std::string text) {
  Predicate predicate = leaf(field, op);
  predicate.text = std::move(text);
  return predicate;
}
inline Predicate length_leaf(std::string_view field, Op op, std::uint64_t length) {
  Predicate predicate = leaf(field, op);
  predicate.length = length;
  return predicate;
}
inline Predicate node(Op op, std::vector<Predicate> children) {
  Predicate predicate;
  predicate.op = op;
  predicate.children = std::move(children);
  return predicate;
}

// A compiled filter with a scanner in front.
class Asked {
 public:
  explicit Asked(const std::vector<Predicate>& keep) : Asked(keep, json::Paths()) {}

  bool keep(std::string_view record) {
    text_.assign(record).push_back('\n');
    text_.append(kTailPadding, '\0');
    const std::string_view lines(text_.data(), record.size() + 1);
    json::ScanError error;
    scanner_.begin(lines);
    REQUIRE_MESSAGE(scanner_.next(0, record.size(), values_, error), std::string(record), ": ", error.reason);
    return predicates_.keep(values_);
  }
  const Predicates& predicates() const { return predicates_; }

 private:
  Asked(const std::vector<Predicate>& keep, json::Paths paths)
      : predicates_(std::move(Predicates::compile(keep, paths).value())),
        scanner_(paths),
        values_(paths.size()) {}

  Predicates predicates_;
  json::Scanner scanner_;
  std::vector<json::Value> values_;
  std::string text_;
};

// Does {"a": value} pass this predicate on /a?
inline bool holds(const Predicate& predicate, std::string_view value) {
  return Asked({predicate}).keep("{\"a\":" + std::string(value) + "}");
}

// A file that is gone with its scope.
class TemporaryFile {
 public:
  explicit TemporaryFile(std::string_view content) {
    static int count = 0;
    path_ = std::filesystem::temp_directory_path() /
            ("leat-set-" + std::to_string(::getpid()) + "-" + std::to_string(++count));
    std::ofstream(path_, std::ios::binary) << content;
  }
  TemporaryFile(const TemporaryFile&) = delete;
  TemporaryFile& operator=(const TemporaryFile&) = delete;
  ~TemporaryFile() { std::filesystem::remove(path_); }
  std::string path() const { return path_.string(); }

 private:
  std::filesystem::path path_;
};

}  // namespace leat::filter
