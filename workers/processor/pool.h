// A vector of plain values that is filled and emptied for every record: adding one costs a compare and no
// call.
#pragma once

#include <cstdint>
#include <cstdlib>
#include <memory>
#include <new>
#include <type_traits>

namespace leat::processor {

template <class T>
class Pool {
  static_assert(std::is_trivially_copyable_v<T>);

 public:
  T& operator[](std::uint32_t number) { return items_.get()[number]; }
  const T& operator[](std::uint32_t number) const { return items_.get()[number]; }
  std::uint32_t size() const { return size_; }
  void clear() { size_ = 0; }

  // Returns the new one's number. Throws std::bad_alloc. References into the pool end.
  std::uint32_t add(const T& item) {
    if (size_ == capacity_) [[unlikely]]
      grow();
    items_.get()[size_] = item;
    return size_++;
  }

  // Gives the memory back if there is room for more than `items`.
  void shrink(std::uint32_t items) {
    if (capacity_ <= items) return;
    items_.reset();
    size_ = capacity_ = 0;
  }

 private:
  struct Free {
    void operator()(T* items) const { std::free(items); }
  };

  // A number stays below 2^32: a record of 4 GiB has fewer members than that.
  [[gnu::noinline]] void grow() {
    std::uint32_t capacity = capacity_ == 0 ? 64 : capacity_ + capacity_ / 2;
    void* grown = std::realloc(static_cast<void*>(items_.get()), capacity * sizeof(T));
    if (grown == nullptr) throw std::bad_alloc();
    (void)items_.release();
    items_.reset(static_cast<T*>(grown));
    capacity_ = capacity;
  }

  std::unique_ptr<T, Free> items_;
  std::uint32_t size_ = 0;
  std::uint32_t capacity_ = 0;
};

}  // namespace leat::processor
