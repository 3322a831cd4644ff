// A set of files as they were: path, size and time in 128 bits each, so that 100,000 of them take 1.6 MB and a poll
// over all of them asks nobody else.
#pragma once

#include <compare>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

namespace leat::reader {

class FileSet {
 public:
  void add(std::string_view path, std::uint64_t size, std::int64_t mtime_ns) {
    keys_.push_back(key_of(path, size, mtime_ns));
  }
  // Two files have one key with a probability of 2^-128. Sorts what was added since the last call.
  bool contains(std::string_view path, std::uint64_t size, std::int64_t mtime_ns);
  std::size_t size() const { return keys_.size(); }  // what was added twice counts twice

 private:
  struct Key {
    std::uint64_t high;
    std::uint64_t low;
    // NOLINTNEXTLINE(modernize-use-nullptr): clang-tidy 14 takes the comparison's 0 for one
    auto operator<=>(const Key&) const = default;
  };
  static Key key_of(std::string_view path, std::uint64_t size, std::int64_t mtime_ns);

  std::vector<Key> keys_;
  std::size_t sorted_ = 0;  // so many of the first
};

}  // namespace leat::reader
