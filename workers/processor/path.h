// A JSON Pointer, prepared for finding it in record after record.
#pragma once

#include <algorithm>
#include <cstdint>
#include <limits>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "config/pointer.h"
#include "proto/base/text.h"

namespace leat::processor {

inline constexpr std::uint64_t kNoIndex = std::numeric_limits<std::uint64_t>::max();

// What equal keys have in common and different ones rarely do: length and first byte. Never kEscapedTag, as
// no UTF-8 starts with 0xFF.
inline constexpr std::uint16_t kEscapedTag = 0xFFFF;
inline std::uint16_t tag_of(std::string_view key) {
  std::size_t first = key.empty() ? 0 : static_cast<unsigned char>(key.front());
  return static_cast<std::uint16_t>(std::min<std::size_t>(key.size(), 255) | first << 8U);
}

struct Token {
  std::string key;                 // decoded
  std::string quoted;              // as JSON
  std::uint64_t index = kNoIndex;  // as an element of an array
  std::uint16_t tag = 0;
  bool append = false;  // "-": behind the last element of an array
};

using Path = std::vector<Token>;

inline Path make_path(const config::Pointer& pointer) {
  Path path;
  for (const config::PointerToken& part : pointer.tokens()) {
    Token token;
    token.key = part.key;
    append_quoted(token.quoted, part.key);
    if (part.index) token.index = *part.index;
    token.tag = tag_of(part.key);
    token.append = part.key == "-";
    path.push_back(std::move(token));
  }
  return path;
}

}  // namespace leat::processor
