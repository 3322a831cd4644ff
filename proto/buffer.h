// A growable run of bytes that can become a message without a copy.
//
// The data path writes records straight into the place they are sent from: a Buffer keeps `headroom` bytes
// free in front for the batch header and kTailPadding readable bytes behind for SIMD readers. Bytes between
// size() and the capacity are not initialised.
#pragma once

#include <cstddef>
#include <cstring>
#include <string_view>

#include "proto/arena.h"

namespace leat {

// Bytes that may be read (never used) behind the end of every payload; zero once a batch is sealed.
inline constexpr std::size_t kTailPadding = 64;

class Buffer {
 public:
  Buffer() = default;
  // Room for `capacity` payload bytes after `headroom` reserved ones. Throws std::bad_alloc.
  explicit Buffer(std::size_t capacity, std::size_t headroom = 0);
  // The whole slot; what outgrows it moves to the heap.
  Buffer(proto::Slot slot, std::size_t headroom);
  Buffer(Buffer&& other) noexcept;
  Buffer& operator=(Buffer&& other) noexcept;
  Buffer(const Buffer&) = delete;
  Buffer& operator=(const Buffer&) = delete;
  ~Buffer();

  char* data() { return base_ + headroom_; }
  const char* data() const { return base_ + headroom_; }
  std::size_t size() const { return size_; }
  bool empty() const { return size_ == 0; }
  std::size_t capacity() const { return capacity_; }
  std::size_t headroom() const { return headroom_; }
  std::string_view view() const { return {data(), size_}; }

  // Grows to at least `capacity` payload bytes (doubling); moves the bytes, so views into it end.
  void reserve(std::size_t capacity) {
    if (capacity > capacity_) grow(capacity);
  }
  // Sets the size; bytes added are not initialised.
  void resize(std::size_t size) {
    reserve(size);
    size_ = size;
  }
  void clear() { size_ = 0; }
  // Gives back what is behind size(), when that is worth it; may move the bytes.
  void shrink();
  void append(const char* bytes, std::size_t count) {
    if (count == 0) return;  // bytes may be null then
    if (count > capacity_ - size_) grow(size_ + count);
    std::memcpy(data() + size_, bytes, count);
    size_ += count;
  }
  void append(std::string_view bytes) { append(bytes.data(), bytes.size()); }
  void push_back(char byte) {
    if (size_ == capacity_) grow(size_ + 1);
    data()[size_++] = byte;
  }

  // The first byte of the headroom; headroom + size + kTailPadding bytes are valid from here.
  char* base() { return base_; }
  // Gives the allocation away: free it with Buffer::deallocate. The Buffer is empty afterwards. Not for one in a slot.
  char* release();
  static void deallocate(char* base);

  bool in_slot() const { return static_cast<bool>(slot_); }
  // Gives the slot away; the Buffer is empty afterwards.
  proto::Slot release_slot();

 private:
  void grow(std::size_t capacity);
  void dispose();

  proto::Slot slot_;
  char* base_ = nullptr;
  std::size_t headroom_ = 0;
  std::size_t capacity_ = 0;
  std::size_t size_ = 0;
};

}  // namespace leat
