// The last 64 KiB before a position: what tells, when a source is continued later, that what was read of it is
// still what stands there. Uncompressed bytes of the source as it is: with a byte order mark, without a newline that
// we added.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>
#include <vector>

namespace leat::reader {

inline constexpr std::size_t kTailBytes = 64 * 1024;

// XXH3-64 of so many bytes.
struct Mark {
  std::uint64_t hash = 0;
  std::uint32_t bytes = 0;  // 0: of nothing, which equals anything
  bool operator==(const Mark&) const = default;
};
Mark mark_of(std::string_view bytes);

// Are the first (last) mark.bytes bytes of `bytes` those of the mark? False when there are fewer.
bool begins_with(std::string_view bytes, const Mark& mark);
bool ends_with(std::string_view bytes, const Mark& mark);

// Of a stream that comes in pieces. Keeps at most twice kTailBytes, so that bytes are rarely moved.
class Tail {
 public:
  void append(std::string_view bytes) {
    if (bytes.size() >= kTailBytes) {
      held_.clear();
      bytes.remove_prefix(bytes.size() - kTailBytes);
    } else if (held_.size() + bytes.size() > 2 * kTailBytes) {
      held_.erase(held_.begin(), held_.end() - static_cast<std::ptrdiff_t>(kTailBytes - bytes.size()));
    }
    held_.insert(held_.end(), bytes.begin(), bytes.end());
  }
  // The last `most` bytes, or as many of them as there are, up to kTailBytes.
  std::string_view last(std::uint64_t most) const {
    std::size_t count = held_.size() < kTailBytes ? held_.size() : kTailBytes;
    if (most < count) count = static_cast<std::size_t>(most);
    return {held_.data() + held_.size() - count, count};
  }
  Mark mark(std::uint64_t most) const { return mark_of(last(most)); }

 private:
  std::vector<char> held_;
};

}  // namespace leat::reader
