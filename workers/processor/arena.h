// Bytes that a step made and that must stay where they are until the record is written.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <memory>
#include <string_view>
#include <utility>
#include <vector>

namespace leat::processor {

class Arena {
 public:
  // size bytes, not initialised, valid until reset(). Throws std::bad_alloc.
  char* take(std::size_t size) {
    if (size > left_) grow(size);
    left_ -= size;
    return std::exchange(at_, at_ + size);
  }

  std::string_view keep(std::string_view bytes) {
    if (bytes.empty()) return {};
    char* place = take(bytes.size());
    std::memcpy(place, bytes.data(), bytes.size());
    return {place, bytes.size()};
  }

  // Keeps one block, as much as most records need.
  void reset() {
    if (blocks_.empty()) return;
    blocks_.resize(1);
    at_ = blocks_.front().get();
    left_ = kBlock;
  }

 private:
  static constexpr std::size_t kBlock = 64 * 1024;

  void grow(std::size_t size) {
    if (blocks_.empty()) add(kBlock);
    if (size > left_) add(std::max(size, kBlock));
  }
  void add(std::size_t size) {
    blocks_.push_back(std::make_unique_for_overwrite<char[]>(size));
    at_ = blocks_.back().get();
    left_ = size;
  }

  std::vector<std::unique_ptr<char[]>> blocks_;
  char* at_ = nullptr;
  std::size_t left_ = 0;
};

}  // namespace leat::processor
