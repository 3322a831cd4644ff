// A source made of a string, and what a chunk stream should be by the slowest and plainest way to split
// lines.
#pragma once

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "proto/batch.h"
#include "tests/unit/payloads.h"
#include "workers/reader/line_reader.h"

namespace leat::reader::test {

// Gives as many bytes at a time as `step` says; fails behind the last one if `error` is set.
class StringSource : public ByteSource {
 public:
  explicit StringSource(
      std::string bytes, std::function<std::size_t()> step = [] { return std::size_t{1} << 30; })
      : bytes_(std::move(bytes)), step_(std::move(step)) {}

  Result<std::size_t> read(char* into, std::size_t capacity) override {
    const std::size_t count = std::min({capacity, bytes_.size() - at_, std::max<std::size_t>(step_(), 1)});
    largest_read = std::max(largest_read, capacity);
    if (count == 0 && error) return tl::unexpected(*error);
    std::memcpy(into, bytes_.data() + at_, count);
    at_ += count;
    return count;
  }
  std::uint64_t offset() const override { return at_; }
  std::uint64_t consumed() const override { return at_; }

  std::optional<Error> error;
  std::size_t largest_read = 0;

 private:
  std::string bytes_;
  std::function<std::size_t()> step_;
  std::size_t at_ = 0;
};

struct Line {
  std::uint64_t offset;
  std::string text;
  bool terminated;
};

// The lines of `bytes` behind a byte order mark; without the last one if the source fails before its newline.
inline std::vector<Line> split(const std::string& bytes, bool failing) {
  std::vector<Line> lines;
  std::size_t at = bytes.starts_with("\xEF\xBB\xBF") ? 3 : 0;
  while (at < bytes.size()) {
    const std::size_t end = bytes.find('\n', at);
    if (end == std::string::npos) {
      if (!failing) lines.push_back({at, bytes.substr(at), false});
      break;
    }
    lines.push_back({at, bytes.substr(at, end - at), true});
    at = end + 1;
  }
  return lines;
}

// Reads everything and compares with split(); "" or what is wrong. target: of each call.
inline std::string compare(const std::string& bytes, StringSource& source, std::size_t max_record,
                           const std::function<std::size_t()>& target) {
  const std::vector<Line> lines = split(bytes, source.error.has_value());
  LineReader reader(source, kHeap, {max_record, {}});
  std::size_t next = 0;
  for (;;) {
    const std::size_t wanted = target();
    Result<std::optional<Chunk>> got = reader.next(wanted);
    if (!got && source.error) return next == lines.size() ? "" : fmt::format("failed after line {}", next);
    if (!got) return "failed: " + got.error().text;
    if (!*got) return next == lines.size() && !source.error ? "" : fmt::format("ended after line {}", next);
    const Chunk& chunk = **got;
    if (chunk.payload.headroom() != proto::kHeaderBytes && !chunk.payload.empty()) return "no headroom";
    if (chunk.first_line != next + 1) return fmt::format("line {} called {}", next + 1, chunk.first_line);
    if (next + chunk.line_count > lines.size() || chunk.line_count == 0) return "a wrong number of lines";
    if (chunk.first_offset != lines[next].offset) return fmt::format("line {} at a wrong offset", next + 1);
    if (chunk.payload.size() > std::max<std::size_t>(wanted, 1) && chunk.line_count > 1)
      return "over the target";
    std::string expected;
    const bool oversize = lines[next].text.size() > max_record;
    if (oversize != !chunk.oversize.empty()) return fmt::format("line {} has a wrong size", next + 1);
    if (oversize) {
      const Oversize& found = chunk.oversize[0];
      if (chunk.oversize.size() != 1 || chunk.line_count != 1) return "an oversize line is not alone";
      if (found.line != next + 1 || found.offset != lines[next].offset ||
          found.length != lines[next].text.size()) {
        return fmt::format("oversize line {} is described wrongly", next + 1);
      }
    }
    for (std::uint64_t i = 0; i < chunk.line_count; ++i, ++next) {
      if (!oversize && lines[next].text.size() > max_record) return "an oversize line among others";
      if (!oversize) expected += lines[next].text + '\n';
    }
    const Line& last = lines[next - 1];
    if (chunk.payload.view() != expected) return fmt::format("other bytes before line {}", next + 1);
    if (chunk.unterminated == last.terminated) return fmt::format("line {} is not marked right", next);
    if (chunk.end_offset != last.offset + last.text.size() + (last.terminated ? 1 : 0))
      return "a wrong end offset";
    const std::uint64_t tail = std::min<std::uint64_t>(chunk.end_offset, kTailBytes);
    const Mark mark = mark_of(std::string_view(bytes).substr(chunk.end_offset - tail, tail));
    const Position after{next + 1, chunk.end_offset, {}, mark, chunk.unterminated};
    if (!(chunk.after() == after) || !(reader.position() == after)) return "a wrong position";
  }
}

}  // namespace leat::reader::test
