#include "proto/buffer.h"

#include <algorithm>
#include <cstdlib>
#include <new>
#include <utility>

namespace leat {

Buffer::Buffer(std::size_t capacity, std::size_t headroom) : headroom_(headroom) {
  grow(capacity);
}

Buffer::Buffer(Buffer&& other) noexcept
    : base_(std::exchange(other.base_, nullptr)),
      headroom_(other.headroom_),
      capacity_(std::exchange(other.capacity_, 0)),
      size_(std::exchange(other.size_, 0)) {}

Buffer& Buffer::operator=(Buffer&& other) noexcept {
  if (this != &other) {
    std::free(base_);
    base_ = std::exchange(other.base_, nullptr);
    headroom_ = other.headroom_;
    capacity_ = std::exchange(other.capacity_, 0);
    size_ = std::exchange(other.size_, 0);
  }
  return *this;
}

Buffer::~Buffer() {
  std::free(base_);
}

// realloc moves large blocks by remapping pages, so doubling a 16 MiB record copies nothing.
void Buffer::grow(std::size_t capacity) {
  capacity = base_ == nullptr ? capacity : std::max(capacity, capacity_ * 2);
  auto* grown = static_cast<char*>(std::realloc(base_, headroom_ + capacity + kTailPadding));
  if (grown == nullptr) throw std::bad_alloc();
  base_ = grown;
  capacity_ = capacity;
}

void Buffer::shrink() {
  if (base_ == nullptr || capacity_ - size_ < capacity_ / 4) return;
  auto* shrunk = static_cast<char*>(std::realloc(base_, headroom_ + size_ + kTailPadding));
  if (shrunk == nullptr) return;
  base_ = shrunk;
  capacity_ = size_;
}

char* Buffer::release() {
  capacity_ = 0;
  size_ = 0;
  return std::exchange(base_, nullptr);
}

void Buffer::deallocate(char* base) {
  std::free(base);
}

}  // namespace leat
