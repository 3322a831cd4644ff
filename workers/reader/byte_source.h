// Where uncompressed bytes come from: a plain file, a decompressor, a test.
#pragma once

#include <compare>
#include <cstddef>
#include <cstdint>

#include "proto/base/result.h"
#include "workers/reader/tail.h"

namespace leat::reader {

// The start of a compressed frame (gzip: member), to begin decoding from. {0, 0} in what is not compressed.
struct FrameMark {
  std::uint64_t offset = 0;      // in the file
  std::uint64_t raw_offset = 0;  // in the uncompressed bytes
  // NOLINTNEXTLINE(modernize-use-nullptr): clang-tidy 14 takes the comparison's 0 for one
  auto operator<=>(const FrameMark&) const = default;
};

// A place between two lines of a source, with all that is needed to continue from there.
struct Position {
  std::uint64_t line = 1;     // number of the next line, from 1
  std::uint64_t offset = 0;   // uncompressed offset of its first byte
  FrameMark frame;            // a frame start at or before offset
  Mark tail{};                // of the bytes before offset: up to kTailBytes, none of them before the frame
  bool unterminated = false;  // the line before it had no newline at the end of the file
  bool operator==(const Position&) const = default;
};

class ByteSource {
 public:
  virtual ~ByteSource() = default;

  // 1 to `capacity` (> 0) bytes, all out of one frame; 0 is the clean end. An error comes after all bytes
  // that could be had before it: kRetry (open again and continue from a Position) or kReject (the source is bad
  // from here on). After an end or an error every call gives the same again.
  [[nodiscard]] virtual Result<std::size_t> read(char* into, std::size_t capacity) = 0;
  // Uncompressed offset of the next byte.
  virtual std::uint64_t offset() const = 0;
  // The frame the next byte is in, or (between two frames) a place where one starts.
  virtual FrameMark mark() const { return {}; }
  // Is the error only that the file ends too early? More of it may come.
  virtual bool cut_short() const { return false; }
  // How far into the file, for progress.
  virtual std::uint64_t consumed() const = 0;
};

}  // namespace leat::reader
