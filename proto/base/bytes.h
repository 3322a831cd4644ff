// Bounds-checked little-endian get and put: fixed fields of messages are never copied as structs.
#pragma once

#include <concepts>
#include <cstddef>
#include <string_view>

namespace leat {

class ByteReader {
 public:
  explicit ByteReader(std::string_view bytes) : bytes_(bytes) {}

  // Zero, and good() false from then on, when there are not enough bytes.
  template <std::unsigned_integral T>
  T get() {
    if (bytes_.size() - at_ < sizeof(T)) {
      good_ = false;
      return 0;
    }
    T value = 0;
    for (std::size_t i = 0; i < sizeof(T); ++i) {
      value = static_cast<T>(
          value | static_cast<T>(static_cast<T>(static_cast<unsigned char>(bytes_[at_ + i])) << (8 * i)));
    }
    at_ += sizeof(T);
    return value;
  }
  std::string_view get_bytes(std::size_t count) {
    if (bytes_.size() - at_ < count) {
      good_ = false;
      return {};
    }
    at_ += count;
    return bytes_.substr(at_ - count, count);
  }
  bool good() const { return good_; }
  bool at_end() const { return at_ == bytes_.size(); }

 private:
  std::string_view bytes_;
  std::size_t at_ = 0;
  bool good_ = true;
};

// Writes to a place the caller has sized.
class ByteWriter {
 public:
  explicit ByteWriter(char* into) : at_(into) {}

  template <std::unsigned_integral T>
  void put(T value) {
    for (std::size_t i = 0; i < sizeof(T); ++i) *at_++ = static_cast<char>(value >> (8 * i) & 0xFFU);
  }

 private:
  char* at_;
};

}  // namespace leat
