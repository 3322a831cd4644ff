#include "workers/stage/json/text.h"

#include <array>
#include <bit>
#include <cstdint>
#include <cstring>

#if defined(__SSSE3__)
#include <tmmintrin.h>
#elif defined(__SSE2__)
#include <emmintrin.h>
#endif

// Long strings are checked 64 bytes at a time, as bit masks with one bit a byte. The bytes that follow an
// escaping backslash come out of a whole block at once (a backslash escapes when it ends a run of odd
// length), so the cost follows the number of escapes, not the number of bytes.

namespace leat::json {

namespace {

#if defined(__SSE2__)
using Chunk = __m128i;
constexpr std::size_t kChunkBytes = 16;

// One bit for each of 64 bytes: hits(chunk) marks a chunk's bytes with 0xFF.
template <class Hits>
[[gnu::always_inline]] inline std::uint64_t mask_of(const char* bytes, Hits hits) {
  std::uint64_t mask = 0;
  for (std::size_t part = 0; part < 64 / kChunkBytes; ++part) {
    Chunk chunk = _mm_loadu_si128(reinterpret_cast<const Chunk*>(bytes + kChunkBytes * part));
    mask |= std::uint64_t{static_cast<std::uint32_t>(_mm_movemask_epi8(hits(chunk)))} << (kChunkBytes * part);
  }
  return mask;
}
[[gnu::always_inline]] inline std::uint64_t equal_to(const char* bytes, char wanted) {
  return mask_of(bytes, [&](Chunk chunk) { return _mm_cmpeq_epi8(chunk, _mm_set1_epi8(wanted)); });
}
[[gnu::always_inline]] inline std::uint64_t continuations(const char* bytes) {
  return mask_of(bytes,
                 [](Chunk chunk) { return _mm_cmplt_epi8(chunk, _mm_set1_epi8(static_cast<char>(0xC0))); });
}
#else
template <class Hit>
std::uint64_t mask_of(const char* bytes, Hit hit) {
  std::uint64_t mask = 0;
  for (unsigned i = 0; i < 64; ++i) mask |= std::uint64_t{hit(bytes[i])} << i;
  return mask;
}
std::uint64_t equal_to(const char* bytes, char wanted) {
  return mask_of(bytes, [&](char c) { return c == wanted; });
}
std::uint64_t continuations(const char* bytes) {
  return mask_of(bytes, [](char c) { return (static_cast<unsigned char>(c) & 0xC0U) == 0x80U; });
}
#endif

// Bits of the bytes that a backslash before them escapes. `carry` is 1 when the last byte of the block before
// was an escaping backslash.
std::uint64_t escaped_bytes(std::uint64_t backslash, std::uint64_t& carry) {
  if (backslash == 0) {
    std::uint64_t escaped = carry;
    carry = 0;
    return escaped;
  }
  constexpr std::uint64_t kEven = 0x5555555555555555ULL;
  backslash &= ~carry;
  std::uint64_t follows = backslash << 1 | carry;
  std::uint64_t odd_starts = backslash & ~kEven & ~follows;
  std::uint64_t sum = 0;
  carry = __builtin_add_overflow(odd_starts, backslash, &sum) ? 1 : 0;
  std::uint64_t invert = sum << 1;
  return (kEven ^ invert) & follows;
}

// Calls on_block(bytes, escaped, offset, bits) for each 64 bytes of text: `bytes` are 64 readable ones,
// `bits` masks those that are text. Returns at the first false.
template <class OnBlock>
[[gnu::always_inline]] inline void for_each_block(std::string_view text, OnBlock on_block) {
  std::uint64_t carry = 0;
  std::size_t offset = 0;
  for (; offset + 64 <= text.size(); offset += 64) {
    const char* bytes = text.data() + offset;
    if (!on_block(bytes, escaped_bytes(equal_to(bytes, '\\'), carry), offset, ~0ULL)) return;
  }
  if (offset == text.size()) return;
  std::array<char, 64> tail{};
  std::memcpy(tail.data(), text.data() + offset, text.size() - offset);
  std::uint64_t bits = (1ULL << (text.size() - offset)) - 1;
  on_block(tail.data(), escaped_bytes(equal_to(tail.data(), '\\'), carry) & bits, offset, bits);
}

// What a letter behind a backslash stands for; 0: not allowed; 'u' is handled by its own rule.
constexpr std::array<char, 256> kEscapes = [] {
  std::array<char, 256> table{};
  table['"'] = '"';
  table['\\'] = '\\';
  table['/'] = '/';
  table['b'] = '\b';
  table['f'] = '\f';
  table['n'] = '\n';
  table['r'] = '\r';
  table['t'] = '\t';
  return table;
}();

#if defined(__SSSE3__)
// The bytes that kEscapes allows. A byte is one of them when the sets of its two halves have a bit in common:
// bit 0 for 2x, 1 for 5x, 2 for 6x, 3 for 7x.
[[gnu::always_inline]] inline std::uint64_t plain_escape_letters(const char* bytes) {
  const Chunk low_half =
      _mm_setr_epi8(0, 0, 0b1101, 0, 0b1000, 0, 0b0100, 0, 0, 0, 0, 0, 0b0010, 0, 0b0100, 0b0001);
  const Chunk high_half = _mm_setr_epi8(0, 0, 0b0001, 0, 0, 0b0010, 0b0100, 0b1000, 0, 0, 0, 0, 0, 0, 0, 0);
  const Chunk nibble = _mm_set1_epi8(0x0F);
  return ~mask_of(bytes, [&](Chunk chunk) {
    Chunk low = _mm_shuffle_epi8(low_half, _mm_and_si128(chunk, nibble));
    Chunk high = _mm_shuffle_epi8(high_half, _mm_and_si128(_mm_srli_epi16(chunk, 4), nibble));
    return _mm_cmpeq_epi8(_mm_and_si128(low, high), _mm_setzero_si128());
  });
}
#else
std::uint64_t plain_escape_letters(const char*) {
  return 0;
}
#endif

// Most strings are keys and short values without a backslash. This finds that out from a few loads that overlap at
// the end, and reads nothing outside of text; a copy to a block of 64 bytes costs more than all the rest of it.
bool has_backslash(std::string_view text) {
  constexpr std::uint64_t kOnes = 0x0101010101010101ULL;
  const char* bytes = text.data();
  const std::size_t size = text.size();
  auto in_word = [](std::uint64_t word) {
    word ^= kOnes * '\\';
    return ((word - kOnes) & ~word & kOnes << 7) != 0;
  };
  auto load = [&]<class Word>(std::size_t at, Word word) {
    std::memcpy(&word, bytes + at, sizeof word);
    return std::uint64_t{word};
  };
  if (size >= 16) {
#if defined(__SSE2__)
    const Chunk wanted = _mm_set1_epi8('\\');
    auto in_chunk = [&](std::size_t at) {
      Chunk chunk = _mm_loadu_si128(reinterpret_cast<const Chunk*>(bytes + at));
      return _mm_movemask_epi8(_mm_cmpeq_epi8(chunk, wanted)) != 0;
    };
    for (std::size_t at = 0; at + kChunkBytes < size; at += kChunkBytes) {
      if (in_chunk(at)) return true;
    }
    return in_chunk(size - kChunkBytes);
#else
    return std::memchr(bytes, '\\', size) != nullptr;
#endif
  }
  if (size >= 8) return in_word(load(0, std::uint64_t{})) || in_word(load(size - 8, std::uint64_t{}));
  if (size >= 4) return in_word(load(0, std::uint32_t{}) | load(size - 4, std::uint32_t{}) << 32);
  return text.find('\\') != std::string_view::npos;
}

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  c = static_cast<char>(c | 0x20);
  return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

// The 16-bit unit of \uXXXX whose 'u' stands at `at`, or -1.
int unit_at(std::string_view text, std::size_t at) {
  if (at + 4 >= text.size()) return -1;
  int unit = 0;
  for (std::size_t i = 1; i <= 4; ++i) {
    int digit = hex_digit(text[at + i]);
    if (digit < 0) return -1;
    unit = unit * 16 + digit;
  }
  return unit;
}

bool is_high(int unit) {
  return unit >= 0xD800 && unit <= 0xDBFF;
}
bool is_low(int unit) {
  return unit >= 0xDC00 && unit <= 0xDFFF;
}

// `at` is the 'u' of an escape. Good: four hex digits, and a surrogate has its other half beside it.
bool unicode_escape_ok(std::string_view text, std::size_t at) {
  int unit = unit_at(text, at);
  if (unit < 0) return false;
  if (is_high(unit)) {
    return at + 6 < text.size() && text[at + 5] == '\\' && text[at + 6] == 'u' &&
           is_low(unit_at(text, at + 6));
  }
  if (is_low(unit)) {
    // The high half's 'u' is 6 bytes before, behind a backslash that escapes: one that ends an odd run of
    // them.
    if (at < 7 || text[at - 6] != 'u' || !is_high(unit_at(text, at - 6))) return false;
    std::size_t run = 0;
    while (run < at - 6 && text[at - 7 - run] == '\\') ++run;
    return run % 2 == 1;
  }
  return true;
}

void append_utf8(std::string& out, std::uint32_t point) {
  auto put = [&](std::uint32_t byte) { out.push_back(static_cast<char>(byte)); };
  if (point < 0x80) {
    put(point);
  } else if (point < 0x800) {
    put(0xC0U | point >> 6);
    put(0x80U | (point & 0x3FU));
  } else if (point < 0x10000) {
    put(0xE0U | point >> 12);
    put(0x80U | (point >> 6 & 0x3FU));
    put(0x80U | (point & 0x3FU));
  } else {
    put(0xF0U | point >> 18);
    put(0x80U | (point >> 12 & 0x3FU));
    put(0x80U | (point >> 6 & 0x3FU));
    put(0x80U | (point & 0x3FU));
  }
}

}  // namespace

std::string_view decode(std::string_view raw, std::string& scratch) {
  std::string_view inner = raw.substr(1, raw.size() - 2);
  std::size_t at = inner.find('\\');
  if (at == std::string_view::npos) return inner;
  scratch.clear();
  std::size_t run = 0;
  while (at != std::string_view::npos && at + 1 < inner.size()) {
    scratch.append(inner.data() + run, at - run);
    char letter = inner[at + 1];
    if (letter == 'u') {
      auto point = static_cast<std::uint32_t>(unit_at(inner, at + 1));
      run = at + 6;
      if (is_high(static_cast<int>(point)) && run + 1 < inner.size()) {
        auto low = static_cast<std::uint32_t>(unit_at(inner, run + 1));
        point = 0x10000U + ((point - 0xD800U) << 10U) + (low - 0xDC00U);
        run += 6;
      }
      append_utf8(scratch, point);
      if (run > inner.size()) run = inner.size();
    } else {
      scratch.push_back(kEscapes[static_cast<unsigned char>(letter)]);
      run = at + 2;
    }
    at = inner.find('\\', run);
  }
  scratch.append(inner.data() + run, inner.size() - run);
  return scratch;
}

std::size_t code_points(std::string_view raw) {
  std::string_view inner = raw.substr(1, raw.size() - 2);
  std::size_t points = inner.size();
  for_each_block(
      inner, [&](const char* bytes, std::uint64_t escaped, std::size_t offset, std::uint64_t bits) {
        points -= static_cast<std::size_t>(std::popcount(continuations(bytes) & bits));
        if (escaped == 0) return true;
        points -= static_cast<std::size_t>(std::popcount(escaped));
        for (std::uint64_t units = escaped & equal_to(bytes, 'u'); units != 0; units &= units - 1) {
          std::size_t at = offset + static_cast<std::size_t>(std::countr_zero(units));
          points -= is_low(unit_at(inner, at)) ? 5 : 4;
        }
        return true;
      });
  return points;
}

std::size_t find_bad_escape(std::string_view inner) {
  if (!has_backslash(inner)) return std::string_view::npos;
  std::size_t bad = std::string_view::npos;
  for_each_block(inner, [&](const char* bytes, std::uint64_t escaped, std::size_t offset, std::uint64_t) {
    if (escaped == 0) return true;
    // Nearly all escapes are one letter: only the others are checked one by one.
    for (escaped &= ~plain_escape_letters(bytes); escaped != 0; escaped &= escaped - 1) {
      std::size_t at = offset + static_cast<std::size_t>(std::countr_zero(escaped));
      if (kEscapes[static_cast<unsigned char>(inner[at])] != 0) continue;
      if (inner[at] == 'u' && unicode_escape_ok(inner, at)) continue;
      bad = at - 1;
      return false;
    }
    return true;
  });
  return bad;
}

}  // namespace leat::json
