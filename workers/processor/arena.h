// Bytes that a step made and that must stay where they are until the record is written.
#pragma once

#include <cstddef>
#include <cstring>
#include <memory>
#include <memory_resource>
#include <string_view>

namespace leat::processor {

class Arena {
 public:
  // size bytes, not initialised, valid until reset(). Throws std::bad_alloc.
  char* take(std::size_t size) { return static_cast<char*>(blocks_->do_allocate(size, 1)); }

  std::string_view keep(std::string_view bytes) {
    if (bytes.empty()) return {};
    char* place = take(bytes.size());
    std::memcpy(place, bytes.data(), bytes.size());
    return {place, bytes.size()};
  }

  // Keeps the first block, as much as most records need.
  void reset() { blocks_->release(); }

 private:
  static constexpr std::size_t kBlock = 64 * 1024;
  struct Blocks final : std::pmr::monotonic_buffer_resource {
    using monotonic_buffer_resource::do_allocate;  // a virtual call would be most of what a short value costs
    using monotonic_buffer_resource::monotonic_buffer_resource;
  };

  std::unique_ptr<char[]> first_ = std::make_unique_for_overwrite<char[]>(kBlock);
  std::unique_ptr<Blocks> blocks_ = std::make_unique<Blocks>(first_.get(), kBlock);
};

}  // namespace leat::processor
