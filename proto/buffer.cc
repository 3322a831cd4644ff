#include "proto/buffer.h"

#include <algorithm>
#include <cstdlib>
#include <new>
#include <utility>

namespace leat {

Buffer::Buffer(std::size_t capacity, std::size_t headroom) : headroom_(headroom) {
  grow(capacity);
}

Buffer::Buffer(proto::Slot slot, std::size_t headroom)
    : slot_(std::move(slot)),
      base_(slot_.data()),
      headroom_(headroom),
      capacity_(slot_.arena().slot_bytes() - headroom - kTailPadding) {}

Buffer::Buffer(Buffer&& other) noexcept
    : slot_(std::move(other.slot_)),
      base_(std::exchange(other.base_, nullptr)),
      headroom_(other.headroom_),
      capacity_(std::exchange(other.capacity_, 0)),
      size_(std::exchange(other.size_, 0)) {}

Buffer& Buffer::operator=(Buffer&& other) noexcept {
  if (this != &other) {
    dispose();
    slot_ = std::move(other.slot_);
    base_ = std::exchange(other.base_, nullptr);
    headroom_ = other.headroom_;
    capacity_ = std::exchange(other.capacity_, 0);
    size_ = std::exchange(other.size_, 0);
  }
  return *this;
}

Buffer::~Buffer() {
  dispose();
}

void Buffer::dispose() {
  if (!slot_) std::free(base_);
  slot_.reset();
}

// realloc moves large blocks by remapping pages, so doubling a 16 MiB record copies nothing. What outgrows its slot
// moves to the heap.
void Buffer::grow(std::size_t capacity) {
  capacity = base_ == nullptr ? capacity : std::max(capacity, capacity_ * 2);
  auto* grown =
      static_cast<char*>(std::realloc(slot_ ? nullptr : base_, headroom_ + capacity + kTailPadding));
  if (grown == nullptr) throw std::bad_alloc();
  if (slot_) std::memcpy(grown, base_, headroom_ + size_);
  slot_.reset();
  base_ = grown;
  capacity_ = capacity;
}

void Buffer::shrink() {
  if (base_ == nullptr || slot_ || capacity_ - size_ < capacity_ / 4) return;
  auto* shrunk = static_cast<char*>(std::realloc(base_, headroom_ + size_ + kTailPadding));
  if (shrunk == nullptr) return;
  base_ = shrunk;
  capacity_ = size_;
}

char* Buffer::release() {
  LEAT_CHECK(!slot_, "a slot is no heap memory");
  capacity_ = 0;
  size_ = 0;
  return std::exchange(base_, nullptr);
}

proto::Slot Buffer::release_slot() {
  base_ = nullptr;
  capacity_ = 0;
  size_ = 0;
  return std::move(slot_);
}

void Buffer::deallocate(char* base) {
  std::free(base);
}

}  // namespace leat
