// UTF-8, JSON strings, and text from elsewhere (a path, a record, what a program said) for a terminal or a log, which acts on
// none of it: control characters (C1 too), ends of lines, marks that turn the direction of writing and bytes that are not UTF-8
// are written as \n, \x1b, \u202e.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

namespace leat {

// Bytes of the code point at the front of `text`, as RFC 3629 has it (no surrogates, no overlong forms); 0: there is none.
std::size_t utf8_point(std::string_view text);
// The number of a code point, given its bytes.
std::uint32_t code_point(std::string_view point);
// How many bytes from the start are valid UTF-8.
std::size_t utf8_prefix(std::string_view text);
inline bool is_utf8(std::string_view text) {
  return utf8_prefix(text) == text.size();
}

// On one line.
std::string printable(std::string_view text);
// Newlines stay: for text that was put together of printable lines.
std::string printable_lines(std::string_view text);
// JSON text that means what it meant.
std::string printable_json(std::string_view json);

// Appends text (valid UTF-8) as a JSON string with its quotes; escapes only what RFC 8259 demands. Out: a std::string or a Buffer.
template <class Out>
void append_quoted(Out& out, std::string_view text) {
  static constexpr std::string_view kHex = "0123456789abcdef";
  out.push_back('"');
  std::size_t run = 0;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (c != '"' && c != '\\' && static_cast<unsigned char>(c) >= 0x20) continue;
    out.append(text.data() + run, i - run);
    run = i + 1;
    const char letter = c == '"' || c == '\\' ? c : c == '\n' ? 'n' : c == '\r' ? 'r' : c == '\t' ? 't' : 'u';
    const std::array<char, 6> escape{'\\',        letter, '0', '0', kHex[static_cast<unsigned char>(c) >> 4U],
                                     kHex[c & 15]};
    out.append(escape.data(), letter == 'u' ? escape.size() : 2);
  }
  out.append(text.data() + run, text.size() - run);
  out.push_back('"');
}

}  // namespace leat
