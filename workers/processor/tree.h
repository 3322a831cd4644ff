// What a record's tree is made of; splice.cc says how it fits together. Parts know each other by number.
#pragma once

#include <cstdint>
#include <limits>

#include "workers/processor/path.h"

namespace leat::processor {

inline constexpr std::uint32_t kNone = std::numeric_limits<std::uint32_t>::max();

enum MemberFlag : std::uint8_t { kJump = 1, kGone = 2, kRun = 4, kKept = 8, kOnPath = 16 };

// A member of an object, an element of an array, or a run of elements that nothing has touched.
struct Member {
  std::uint32_t from = 0;         // number of its first position, the bracket's being 0; 0: made by a step
  std::uint32_t next = kNone;     // kJump: the one behind it; else that is the next one in members_
  std::uint32_t touched = kNone;  // its Touched
  std::uint16_t tag = 0;          // tag_of its key, or kEscapedTag
  std::uint8_t flags = 0;
  bool has(unsigned mask) const { return (flags & mask) != 0; }
  void mark(unsigned mask) { flags = static_cast<std::uint8_t>(flags | mask); }
  void clear(unsigned mask) { flags = static_cast<std::uint8_t>(flags & ~mask); }
};

// More about a member that a path has led to.
struct Touched {
  const Token* key = nullptr;   // its new key
  const char* begin = nullptr;  // its value, unless child says more
  const char* end = nullptr;
  const std::uint32_t* at = nullptr;  // positions [at, at_end) of the value; null: not indexed
  const std::uint32_t* at_end = nullptr;
  std::uint32_t child = kNone;  // its members, once a path has gone inside
  bool replaced = false;        // the value is not the one that stands here in the text
};

struct Container {
  const char* base = nullptr;           // what positions are offsets into
  const std::uint32_t* open = nullptr;  // positions of the brackets; null: made by a step
  const std::uint32_t* close = nullptr;
  std::uint32_t head = kNone;
  std::uint32_t tail = kNone;
  bool object = false;
};

// Where an element of an array starts; member kNone: the array has only `passed` elements.
struct Spot {
  std::uint32_t member = kNone;
  std::uint32_t from = 0;
  std::uint64_t passed = 0;
};

}  // namespace leat::processor
