#include "workers/filter/length.h"

#include "workers/stage/json/text.h"

namespace leat::filter {
namespace {

constexpr std::size_t kLongestCodePoint = 12;  // raw bytes: "\ud83d\ude00"

// The closing quote of the string that opens at `at`.
std::size_t skip_string(std::string_view raw, std::size_t at) {
  for (++at; raw[at] != '"'; ++at) at += raw[at] == '\\';
  return at;
}

bool has_members(std::string_view raw, std::uint64_t length) {
  const std::size_t first = raw.find_first_not_of(" \t\r\n", 1);
  if (first == raw.size() - 1) return length == 0;
  std::uint64_t members = 1;  // commas on the first level, and one
  std::size_t depth = 1;
  for (std::size_t at = first; depth > 0 && members < length; ++at) {
    switch (raw[at]) {
      case '"':
        at = skip_string(raw, at);
        break;
      case '[':
      case '{':
        ++depth;
        break;
      case ']':
      case '}':
        --depth;
        break;
      case ',':
        members += depth == 1;
        break;
      default:
        break;
    }
  }
  return members >= length;
}

}  // namespace

bool has_length(const json::Value& value, std::uint64_t length) {
  const std::size_t inside = value.raw.size() - 2;
  if (value.type != json::Type::kString) {
    return length <= inside && has_members(value.raw, length);  // a member takes a byte at least
  }
  if (inside < length) return false;
  if (inside / kLongestCodePoint >= length) return true;
  return json::code_points(value.raw) >= length;
}

}  // namespace leat::filter
