// Where the structure of JSON text is. index.cc and text.cc are the only files that name simdjson.
//
// build() finds, in one SIMD pass, every position that matters to a parser: { } [ ] : , outside of strings,
// the opening quote of each string, and the first byte of every other scalar (or of whatever garbage stands
// there). It checks UTF-8 and that no string holds a raw control character or stays open; nothing else:
// grammar is the scanner's (scan.h). Text may be many records, one a line: no string can cross a newline, as
// that is a control character. A closing quote has no position of its own: it is the last non-blank byte
// before the next position.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string_view>

namespace leat::json {

enum class IndexFault : std::uint8_t {
  kNone = 0,
  kUtf8 = 1,
  kControlCharacter = 2,
  kUnclosedString = 3,
  kOther = 4
};

class Index {
 public:
  Index();
  ~Index();
  Index(Index&&) noexcept;
  Index& operator=(Index&&) noexcept;

  // text: under 4 GiB, with kTailPadding (64) readable bytes behind it. On success positions() holds byte
  // offsets into text, ascending, valid until the next build; the element behind the last may be read and is
  // text.size(). On a fault positions() is empty. Keeps its memory (about 4 bytes a text byte of address
  // space, touched only as far as there is structure) for the next call, unless the text was over 1 MiB.
  [[nodiscard]] IndexFault build(std::string_view text);
  std::span<const std::uint32_t> positions() const { return positions_; }

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
  std::span<const std::uint32_t> positions_;
};

}  // namespace leat::json
