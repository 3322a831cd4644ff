// YAML text to a tree with places: the only file that names yaml-cpp.
//
// The tree keeps what the parser needs and yaml-cpp's own nodes lose: the place of every key, duplicate keys,
// and whether a scalar was quoted. Aliases are copied in; anchors, depth and the size of the whole tree are
// capped, so a few lines of nested aliases cannot fill the memory.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <tl/expected.hpp>
#include <vector>

#include "config/pipeline.h"

namespace leat::config {

inline constexpr std::size_t kMaxYamlDepth = 64;                // lists and mappings within each other
inline constexpr std::size_t kMaxYamlBytes = 32 * 1024 * 1024;  // the whole tree, aliases copied

struct Node {
  enum class Kind : std::uint8_t { kNull, kPlain, kQuoted, kList, kMap };
  struct Key {
    std::string text;
    Where where;
    bool quoted = false;
  };
  Kind kind = Kind::kNull;
  std::string text;         // kPlain, kQuoted: the decoded scalar
  std::vector<Key> keys;    // kMap: one for each item
  std::vector<Node> items;  // kList, kMap
  Where where;
};

struct SyntaxError {
  Where where;
  std::string text;
};

// text: any bytes, at most 1 MiB by the caller's check; must be valid UTF-8 (the caller's check too). One
// document. Duplicate keys are kept for the caller to report. Never throws but std::bad_alloc.
tl::expected<Node, SyntaxError> parse_yaml(std::string_view text);

}  // namespace leat::config
