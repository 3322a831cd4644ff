// Dead-letter files, read: proto/dead_letter.h says what stands in a line.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "proto/base/fd.h"
#include "proto/base/result.h"
#include "proto/dead_letter.h"

namespace leat::replay {

// The lines of a file, in a memory of the longest of them. A last line without a newline is not there yet, and is not given.
class Lines {
 public:
  // until: bytes of the file that count.
  [[nodiscard]] static Result<Lines> open(const std::string& path, std::uint64_t until = UINT64_MAX);
  // nullopt: the end. The view lives until the next call.
  [[nodiscard]] Result<std::optional<std::string_view>> next();
  std::uint64_t number() const { return number_; }      // of the line given last, from 1
  std::uint64_t bytes() const { return bytes_given_; }  // up to and with it

 private:
  Lines(Fd fd, std::string path, std::uint64_t until)
      : fd_(std::move(fd)), path_(std::move(path)), left_(until) {}

  Fd fd_;
  std::string path_;
  std::uint64_t left_;
  std::string buffer_;
  std::size_t begin_ = 0;
  std::size_t searched_ = 0;
  std::uint64_t number_ = 0;
  std::uint64_t bytes_given_ = 0;
};

}  // namespace leat::replay
