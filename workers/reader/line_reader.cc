// Reading lines without copying them.
//
// The obvious way reads blocks into one buffer and copies lines out into a batch. Here the source writes into
// the batch's own memory until the target is reached; the last newline in it ends the chunk, and only what
// follows it, part of one line, is copied to the memory of the next. A line longer than the target is read on
// in small steps, so that little is behind its end to be copied; one longer than the limit is thrown away as
// it comes.
//
// A frame mark is worth having if it is at or before the end of the chunk, and the source may be some frames
// ahead of that. As one read() gives bytes of one frame only, the marks before and after the last read that
// held a newline are enough: the chunk ends at that newline. If it does not, the mark of the chunk before is
// right, only older.
#include "workers/reader/line_reader.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <utility>

namespace leat::reader {
namespace {

constexpr std::size_t kMinStep = 4 * 1024;
constexpr std::size_t kMaxStep = 64 * 1024;
constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";

// Behind the last '\n' of bytes[0, count); 0: there is none.
std::size_t last_line_end(const char* bytes, std::size_t count) {
  const void* newline = ::memrchr(bytes, '\n', count);
  return newline == nullptr ? 0 : static_cast<std::size_t>(static_cast<const char*>(newline) - bytes) + 1;
}

std::size_t first_line_end(const char* bytes, std::size_t from, std::size_t count) {
  const void* newline = std::memchr(bytes + from, '\n', count - from);
  return newline == nullptr ? 0 : static_cast<std::size_t>(static_cast<const char*>(newline) - bytes) + 1;
}

}  // namespace

// GCC 12 leaves std::count a byte at a time at -O2. Lanes of a vector count down to -255 before they are
// summed.
std::uint64_t count_newlines(const char* bytes, std::size_t count) {
  using Lanes = unsigned char __attribute__((vector_size(16)));
  constexpr std::size_t kLanes = sizeof(Lanes);
  std::uint64_t total = 0;
  std::size_t at = 0;
  while (count - at >= kLanes) {
    const std::size_t blocks = std::min<std::size_t>((count - at) / kLanes, 255);
    Lanes sum{};
    for (std::size_t i = 0; i < blocks; ++i, at += kLanes) {
      Lanes lanes;
      std::memcpy(&lanes, bytes + at, kLanes);
      sum -= reinterpret_cast<Lanes>(lanes == static_cast<unsigned char>('\n'));
    }
    for (std::size_t i = 0; i < kLanes; ++i) total += sum[i];
  }
  for (; at < count; ++at) total += bytes[at] == '\n' ? 1 : 0;
  return total;
}

LineReader::LineReader(ByteSource& source, Options options)
    : source_(source), options_(options), position_(options.start), step_(kMinStep) {}

Result<std::optional<Chunk>> LineReader::next(std::size_t target_bytes) {
  const std::size_t target = std::max<std::size_t>(target_bytes, 1);
  step_ = std::clamp(target, kMinStep, kMaxStep);
  if (!begun_) begin(target);
  if (done_ && buffer_.empty()) return finish();
  buffer_.reserve(target + 1);
  while (buffer_.size() < target && !done_) read_some(target - buffer_.size());
  const std::size_t first = std::min(buffer_.size(), target);
  std::size_t end = last_line_end(buffer_.data(), first);
  if (end == 0) end = find_line_end(first);
  if (end == 0 && done_ && buffer_.size() <= options_.max_record_bytes) return finish();
  if (end > options_.max_record_bytes) end = before_oversize(end);
  if (end == 0) return skip_line();
  return deliver(end, target);
}

Result<std::optional<Chunk>> LineReader::finish() const {
  if (failed_) return tl::unexpected(*failed_);
  return std::nullopt;
}

// Passes over what was delivered before, and the byte order mark.
void LineReader::begin(std::size_t target) {
  begun_ = true;
  buffer_ = Buffer(target + 1, options_.headroom);
  while (source_.offset() < position_.offset && !done_) {
    const std::uint64_t before = position_.offset - source_.offset();
    read_some(static_cast<std::size_t>(std::min<std::uint64_t>(before, kMaxStep)));
    buffer_.clear();
  }
  if (source_.offset() < position_.offset && !failed_) {
    failed_ = Error{Fault::kReject,
                    fmt::format("the source ends at uncompressed offset {}, before the position {} to go "
                                "on from: it is not the same any more",
                                source_.offset(), position_.offset)};
  }
  if (position_.offset > 0) return;
  while (buffer_.size() < kByteOrderMark.size() && !done_) read_some(kByteOrderMark.size() - buffer_.size());
  if (!buffer_.view().starts_with(kByteOrderMark)) return;
  const std::size_t rest = buffer_.size() - kByteOrderMark.size();
  std::memmove(buffer_.data(), buffer_.data() + kByteOrderMark.size(), rest);
  buffer_.resize(rest);
  position_.offset = kByteOrderMark.size();
}

// Adds up to `count` bytes to the buffer, or what is missing at the end: the last '\n'.
void LineReader::read_some(std::size_t count) {
  const std::size_t size = buffer_.size();
  buffer_.reserve(size + count + 1);
  const FrameMark before = source_.mark();
  Result<std::size_t> got = source_.read(buffer_.data() + size, count);
  if (!got) {
    failed_ = std::move(got.error());
    done_ = true;
  } else if (*got == 0) {
    done_ = true;
    unterminated_ = size > 0 && buffer_.data()[size - 1] != '\n';
    if (unterminated_) buffer_.push_back('\n');
  } else {
    buffer_.resize(size + *got);
    if (last_line_end(buffer_.data() + size, *got) > 0) {
      older_ = before;
      newer_ = source_.mark();
    }
  }
}

// The first line is longer than the target. Reads on to its end; 0: the source ends or the limit is passed
// before it.
std::size_t LineReader::find_line_end(std::size_t searched) {
  for (;;) {
    if (const std::size_t end = first_line_end(buffer_.data(), searched, buffer_.size()); end > 0) return end;
    searched = buffer_.size();
    if (done_ || searched > options_.max_record_bytes) return 0;
    read_some(step_);
  }
}

// Of the lines in buffer_[0, end), as many as come before one that is too long.
std::size_t LineReader::before_oversize(std::size_t end) const {
  std::size_t begin = 0;
  while (begin < end) {
    const std::size_t next = first_line_end(buffer_.data(), begin, end);
    if (next - begin - 1 > options_.max_record_bytes) return begin;
    begin = next;
  }
  return end;
}

Chunk LineReader::deliver(std::size_t end, std::size_t target) {
  Chunk chunk;
  chunk.first_line = position_.line;
  chunk.first_offset = position_.offset;
  chunk.line_count = count_newlines(buffer_.data(), end);
  chunk.unterminated = unterminated_ && end == buffer_.size();
  move_to(position_.offset + end - (chunk.unterminated ? 1 : 0), chunk.line_count);
  chunk.end_offset = position_.offset;
  chunk.frame = position_.frame;
  chunk.payload = take(end, target);
  return chunk;
}

// The first line is too long: drops what is there of it and what comes.
Result<std::optional<Chunk>> LineReader::skip_line() {
  Chunk chunk;
  chunk.first_line = position_.line;
  chunk.first_offset = position_.offset;
  chunk.line_count = 1;
  std::uint64_t length = 0;
  std::size_t end;
  while ((end = first_line_end(buffer_.data(), 0, buffer_.size())) == 0) {
    length += buffer_.size();
    buffer_ = Buffer(step_ + 1, options_.headroom);
    if (done_) break;
    read_some(step_);
  }
  if (end == 0 && failed_) return finish();
  chunk.unterminated = end == 0 || (unterminated_ && end == buffer_.size());
  if (end > 0) {
    length += end - 1;
    take(end, step_);
  }
  chunk.oversize.push_back({position_.line, position_.offset, length});
  move_to(position_.offset + length + (chunk.unterminated ? 0 : 1), 1);
  chunk.end_offset = position_.offset;
  chunk.frame = position_.frame;
  return chunk;
}

void LineReader::move_to(std::uint64_t offset, std::uint64_t lines) {
  position_.line += lines;
  position_.offset = offset;
  if (newer_.raw_offset <= offset) {
    position_.frame = std::max(position_.frame, newer_);
  } else if (older_.raw_offset <= offset) {
    position_.frame = std::max(position_.frame, older_);
  }
}

// buffer_[0, end), in an allocation of its own that is not much larger; buffer_ keeps the rest.
Buffer LineReader::take(std::size_t end, std::size_t target) {
  const std::size_t rest = buffer_.size() - end;
  Buffer next;
  if (rest > 0 || !done_) {
    next = Buffer(std::max(rest, target) + 1, options_.headroom);
    next.append(buffer_.data() + end, rest);
  }
  buffer_.resize(end);
  if (end < buffer_.capacity() / 4 && !buffer_.in_slot()) {
    Buffer tight(end, options_.headroom);
    tight.append(buffer_.view());
    buffer_ = std::move(tight);
  }
  std::swap(buffer_, next);
  return next;
}

}  // namespace leat::reader
