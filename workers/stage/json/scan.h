// Checks a record against the JSON grammar (RFC 8259) and finds the fields that were asked for, in one
// pass.
//
// Any number text that the grammar allows is fine, of any size. Escapes must be valid and surrogates paired.
// Nesting deeper than kMaxDepth is refused. Keys compare decoded; of duplicate keys the first counts.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "config/pointer.h"
#include "workers/stage/json/index.h"

namespace leat::json {

inline constexpr std::size_t kMaxDepth = 1024;

enum class Type : std::uint8_t { kMissing, kNull, kTrue, kFalse, kNumber, kString, kObject, kArray };

// A value inside a record. raw is its bytes as they stand, quotes or brackets included, no blanks around; it
// points into the scanned text and lives as long as that.
struct Value {
  Type type = Type::kMissing;
  std::string_view raw;
};

// A set of pointers to look for, each with a slot number 0, 1, 2 ... (the same pointer gets the same slot).
class Paths {
 public:
  std::size_t add(const config::Pointer& pointer);
  std::size_t size() const { return slots_; }

 private:
  friend class Scanner;
  struct Node {
    std::string key;
    std::int64_t index = -1;  // as an array index, -1: none
    int slot = -1;            // the value here is wanted
    std::vector<std::uint32_t> children;
  };
  std::vector<Node> nodes_{1};
  std::size_t slots_ = 0;
};

struct ScanError {
  std::size_t offset = 0;  // byte offset in the record, from 0
  std::string reason;      // "expected ',' or '}', got ':'"
};

class Scanner {
 public:
  explicit Scanner(Paths paths);

  // Indexes the records of a batch, each ended by '\n'. Same demands on text as Index::build. A record that
  // spoils the index of the whole (bad UTF-8, an open string) makes the scanner index record by record:
  // slower, never wrong.
  void begin(std::string_view records);

  // Checks the next record: records[begin, end), `end` being its '\n'. Calls go in ascending order, blank
  // lines (only spaces, tabs and '\r') may be skipped. values has paths.size() slots; those not found are
  // kMissing. False: the record is malformed, error says where and why.
  [[nodiscard]] bool next(std::size_t begin, std::size_t end, std::span<Value> values, ScanError& error);

 private:
  // An open object or array on the way down to the current value.
  struct Level {
    bool object = false;
    std::int32_t node = -1;  // where it stands in the tree of paths, -1: nothing below is wanted
    std::uint32_t begin = 0;
    std::int64_t element = -1;  // of an array with a node: index of the current element
  };
  struct Walk;  // one record on its way (scan.cc)

  std::int32_t child_by_key(std::int32_t node, std::string_view raw_key);
  std::int32_t child_by_index(std::int32_t node, std::int64_t element);
  std::int32_t first_visit(std::int32_t node);

  Paths paths_;
  Index index_;
  std::string_view records_;
  const std::uint32_t* at_ = nullptr;
  bool whole_ = false;  // one index for all records
  std::string scratch_;
  std::vector<Level> levels_;
  std::vector<std::uint64_t> seen_;  // per node: the last record that visited it
  std::uint64_t record_ = 0;
};

}  // namespace leat::json
