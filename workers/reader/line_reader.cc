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

LineReader::LineReader(ByteSource& source, const proto::PayloadPool& payloads, Options options)
    : source_(source), payloads_(payloads), options_(options), position_(options.start), step_(kMinStep) {}

Result<std::optional<Chunk>> LineReader::next(std::size_t target_bytes) {
  const std::size_t target = std::max<std::size_t>(target_bytes, 1);
  step_ = std::clamp(target, kMinStep, kMaxStep);
  LEAT_TRY(begin());
  if (done_ && buffer_.empty()) return finish();
  if (buffer_.headroom() == 0) {
    Buffer first = payloads_.payload(target + 1);
    first.append(buffer_.view());
    buffer_ = std::move(first);
  }
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

Result<void> LineReader::begin() {
  if (std::exchange(begun_, true)) return {};
  if (position_.offset == 0) {
    pass_byte_order_mark();  // a fault of the source is told behind the lines before it
    return {};
  }
  pass_over();
  if (!failed_) return {};
  buffer_.clear();
  return tl::unexpected(*failed_);
}

void LineReader::refuse(std::string text) {
  changed_ = true;
  failed_ = Error{Fault::kReject, std::move(text)};
  done_ = true;
}

void LineReader::pass_over() {
  while (source_.offset() < position_.offset && !done_) {
    const std::uint64_t before = position_.offset - source_.offset();
    read_some(static_cast<std::size_t>(std::min<std::uint64_t>(before, kMaxStep)));
    tail_.append(buffer_.view());
    buffer_.clear();
  }
  last_byte_ = '\n';
  if (failed_) return;
  if (source_.offset() < position_.offset) {
    refuse(fmt::format("it ends before offset {}, up to which it was read", position_.offset));
  } else if (!ends_with(tail_.last(kTailBytes), position_.tail)) {
    refuse(fmt::format("the {} bytes before offset {} are not those that were read", position_.tail.bytes,
                       position_.offset));
  } else if (position_.unterminated) {
    pass_newline();
  }
}

// The last line had no newline when it was taken as a record. Its newline may have come since, but not more of it.
void LineReader::pass_newline() {
  read_some(1);
  if (buffer_.empty()) return;
  if (buffer_.view() != "\n") {
    return refuse(fmt::format("its last line, which ended without a newline at offset {}, is longer now",
                              position_.offset));
  }
  tail_.append(buffer_.view());
  buffer_.clear();
  position_.offset += 1;
  position_.tail = tail_.mark(position_.offset - position_.frame.raw_offset);
  position_.unterminated = false;
}

void LineReader::pass_byte_order_mark() {
  while (buffer_.size() < kByteOrderMark.size() && !done_) read_some(kByteOrderMark.size() - buffer_.size());
  if (!buffer_.view().starts_with(kByteOrderMark)) return;
  const std::size_t rest = buffer_.size() - kByteOrderMark.size();
  std::memmove(buffer_.data(), buffer_.data() + kByteOrderMark.size(), rest);
  buffer_.resize(rest);
  if (rest == 0) last_byte_ = '\n';
  tail_.append(kByteOrderMark);
  position_.offset = kByteOrderMark.size();
  position_.tail = tail_.mark(position_.offset);
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
    end_of_source();
  } else {
    buffer_.resize(size + *got);
    last_byte_ = buffer_.data()[size + *got - 1];
    if (last_line_end(buffer_.data() + size, *got) > 0) {
      older_ = before;
      newer_ = source_.mark();
    }
  }
}

void LineReader::end_of_source() {
  done_ = true;
  if (last_byte_ == '\n') return;
  if (options_.hold_nuls && last_byte_ == '\0') {
    held_ = Held::kNuls;
  } else if (options_.hold_unterminated) {
    held_ = Held::kUnterminated;
  } else if (!buffer_.empty()) {
    unterminated_ = true;
    buffer_.push_back('\n');
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
  const std::size_t taken = end - (chunk.unterminated ? 1 : 0);
  tail_.append(buffer_.view().substr(0, taken));
  move_to(position_.offset + taken, chunk.line_count);
  position_.unterminated = chunk.unterminated;
  chunk.end_offset = position_.offset;
  chunk.frame = position_.frame;
  chunk.tail = position_.tail;
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
    tail_.append(buffer_.view());
    buffer_ = payloads_.payload(step_ + 1);
    if (done_) break;
    read_some(step_);
  }
  if (end == 0 && (failed_ || held_ != Held::kNothing)) return finish();
  chunk.unterminated = end == 0 || (unterminated_ && end == buffer_.size());
  if (end > 0) {
    length += end - 1;
    tail_.append(buffer_.view().substr(0, end - (chunk.unterminated ? 1 : 0)));
    take(end, step_);
  }
  chunk.oversize.push_back({position_.line, position_.offset, length});
  move_to(position_.offset + length + (chunk.unterminated ? 0 : 1), 1);
  position_.unterminated = chunk.unterminated;
  chunk.end_offset = position_.offset;
  chunk.frame = position_.frame;
  chunk.tail = position_.tail;
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
  position_.tail = tail_.mark(offset - position_.frame.raw_offset);
}

// buffer_[0, end), in an allocation of its own that is not much larger; buffer_ keeps the rest.
Buffer LineReader::take(std::size_t end, std::size_t target) {
  const std::size_t rest = buffer_.size() - end;
  Buffer next;
  if (rest > 0 || !done_) {
    next = payloads_.payload(std::max(rest, target) + 1);
    next.append(buffer_.data() + end, rest);
  }
  buffer_.resize(end);
  buffer_.shrink();
  std::swap(buffer_, next);
  return next;
}

}  // namespace leat::reader
