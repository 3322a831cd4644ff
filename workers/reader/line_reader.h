// Cuts a ByteSource into chunks of whole lines, read straight into the memory they are sent from.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "proto/payload_pool.h"
#include "workers/reader/byte_source.h"

namespace leat::reader {

// A line that is longer than the limit: where it is, not what it holds.
struct Oversize {
  std::uint64_t line = 0;
  std::uint64_t offset = 0;  // of its first byte
  std::uint64_t length = 0;  // without its '\n'
};

struct Chunk {
  Buffer payload;                  // whole lines; each ends in '\n', "\r\n" and blank lines stay as they are
  std::uint64_t first_line = 1;    // number of the first line, from 1
  std::uint64_t line_count = 0;    // the newlines in payload; 1 with an oversize line
  std::uint64_t first_offset = 0;  // uncompressed offset of payload's first byte
  std::uint64_t end_offset = 0;    // behind the last byte taken from the source
  FrameMark frame;  // a frame start at or before end_offset, the last one if frames hold whole lines
  Mark tail;        // of the source's bytes before end_offset, as in Position
  bool unterminated = false;  // the last line had no '\n' at the end of the file: payload has one more byte
                              // than the source
  std::vector<Oversize> oversize;  // with an entry, payload is empty: such a line is a chunk of its own

  Position after() const { return {first_line + line_count, end_offset, frame, tail, unterminated}; }
};

// Number of '\n' in bytes; as fast as memory.
std::uint64_t count_newlines(const char* bytes, std::size_t count);

class LineReader {
 public:
  struct Options {
    std::uint64_t max_record_bytes = 16u << 20;  // of a line, without its '\n'
    Position start;                              // bytes of the source before start.offset are passed over
    bool hold_nuls = false;                      // a last line that ends in NUL bytes is not there yet
    bool hold_unterminated = false;              // nor is one without its '\n'
  };
  enum class Held : std::uint8_t { kNothing, kNuls, kUnterminated };
  // The source and the payloads must outlive the reader.
  LineReader(ByteSource& source, const proto::PayloadPool& payloads, Options options);

  // Passes over what comes before the start, and makes sure that it is what was read then: a fault of the source, or
  // (changed(), kReject) it ends before the start, its tail is another one, or its last line, which had no '\n',
  // has continued. Without it next() does the same.
  [[nodiscard]] Result<void> begin();
  bool changed() const { return changed_; }

  // The next lines, up to target_bytes of them; a longer line travels alone. nullopt is the end. A fault of
  // the source comes after all whole lines in front of it; what follows the last of these is not delivered:
  // the place to continue from is position(). So it is with a last line that is held(). A UTF-8 byte order mark at offset 0 is skipped, and counts in
  // offsets. Holds at most two buffers of the longer of target_bytes and the line, of which max_record_bytes
  // bounds the latter.
  [[nodiscard]] Result<std::optional<Chunk>> next(std::size_t target_bytes);

  // After the last chunk; at first where the reader was told to start.
  const Position& position() const { return position_; }
  // What the end left behind, to be read when more is there.
  Held held() const { return held_; }

 private:
  void pass_over();
  void pass_newline();
  void pass_byte_order_mark();
  void refuse(std::string text);
  void end_of_source();
  void read_some(std::size_t count);
  std::size_t find_line_end(std::size_t searched);
  std::size_t before_oversize(std::size_t end) const;
  Chunk deliver(std::size_t end, std::size_t target);
  Result<std::optional<Chunk>> skip_line();
  Result<std::optional<Chunk>> finish() const;
  void move_to(std::uint64_t offset, std::uint64_t lines);
  Buffer take(std::size_t end, std::size_t target);

  ByteSource& source_;
  const proto::PayloadPool& payloads_;
  Options options_;
  Buffer buffer_;      // read and not delivered; begins at a line
  Position position_;  // of buffer_[0]
  Tail tail_;          // of what is before it
  FrameMark older_;    // marks around the last read that held a newline
  FrameMark newer_;
  std::size_t step_;       // how much is read at a time behind a long line
  char last_byte_ = '\n';  // of what was read
  Held held_ = Held::kNothing;
  bool begun_ = false;
  bool changed_ = false;
  bool done_ = false;          // the source has ended, well or not
  bool unterminated_ = false;  // the last byte of buffer_ is our own '\n'
  std::optional<Error> failed_;
};

}  // namespace leat::reader
