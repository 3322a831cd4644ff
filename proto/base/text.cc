#include "proto/base/text.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdint>
#include <cstring>

namespace leat {

namespace {

// Of the code point, or of the byte that is none, at the front of text, which is not empty.
std::size_t piece(std::string_view text) {
  return std::max<std::size_t>(utf8_point(text), 1);
}

// Does a terminal or a reader of lines act on it? Controls, ends of lines, marks that turn the direction of writing.
bool acts(std::uint32_t code) {
  return code < 0x20 || (code >= 0x7F && code < 0xA0) || code == 0x061C || code == 0x200E || code == 0x200F ||
         (code >= 0x2028 && code <= 0x202E) || (code >= 0x2066 && code <= 0x2069) || code == 0xFEFF;
}

std::string escape(std::uint32_t code) {
  if (code == '\n') return "\\n";
  if (code == '\r') return "\\r";
  if (code == '\t') return "\\t";
  return code < 0x80 ? fmt::format("\\x{:02x}", code) : fmt::format("\\u{:04x}", code);
}

}  // namespace

// The table of RFC 3629, section 4.
std::size_t utf8_point(std::string_view text) {
  const auto byte = [&](std::size_t i) -> unsigned {
    return i < text.size() ? static_cast<unsigned char>(text[i]) : 0U;
  };
  const auto tail = [&](std::size_t i) { return (byte(i) & 0xC0U) == 0x80U; };
  const unsigned first = byte(0);
  if (first < 0x80) return text.empty() ? 0 : 1;
  if (first >= 0xC2 && first <= 0xDF) return tail(1) ? 2 : 0;
  if (first >= 0xE0 && first <= 0xEF) {
    const unsigned low = first == 0xE0 ? 0xA0 : 0x80;
    const unsigned high = first == 0xED ? 0x9F : 0xBF;
    return byte(1) >= low && byte(1) <= high && tail(2) ? 3 : 0;
  }
  if (first >= 0xF0 && first <= 0xF4) {
    const unsigned low = first == 0xF0 ? 0x90 : 0x80;
    const unsigned high = first == 0xF4 ? 0x8F : 0xBF;
    return byte(1) >= low && byte(1) <= high && tail(2) && tail(3) ? 4 : 0;
  }
  return 0;
}

std::uint32_t code_point(std::string_view point) {
  const auto lead = static_cast<unsigned char>(point[0]);
  if (point.size() == 1) return lead;
  std::uint32_t code = lead & (0xFFU >> (point.size() + 1));
  for (const char c : point.substr(1)) code = (code << 6) | (static_cast<unsigned char>(c) & 0x3FU);
  return code;
}

std::size_t utf8_prefix(std::string_view text) {
  std::size_t at = 0;
  while (at < text.size()) {
    std::uint64_t eight = 0;
    if (text.size() - at >= sizeof eight) {
      std::memcpy(&eight, text.data() + at, sizeof eight);
      if ((eight & 0x8080808080808080U) == 0) {
        at += sizeof eight;
        continue;
      }
    }
    const std::size_t length = utf8_point(text.substr(at));
    if (length == 0) break;
    at += length;
  }
  return at;
}

std::string printable(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  while (!text.empty()) {
    const std::string_view point = text.substr(0, piece(text));
    text.remove_prefix(point.size());
    const std::uint32_t code = code_point(point);
    if (point.size() == 1 && code >= 0x80) {
      out += fmt::format("\\x{:02x}", code);
    } else if (acts(code)) {
      out += escape(code);
    } else {
      out += point;
    }
  }
  return out;
}

std::string printable_lines(std::string_view text) {
  std::string out;
  while (true) {
    const std::size_t end = text.find('\n');
    out += printable(text.substr(0, end));
    if (end == std::string_view::npos) return out;
    out += '\n';
    text.remove_prefix(end + 1);
  }
}

std::string printable_json(std::string_view json) {
  std::string out;
  out.reserve(json.size());
  while (!json.empty()) {
    const std::string_view point = json.substr(0, piece(json));
    json.remove_prefix(point.size());
    const std::uint32_t code = code_point(point);
    // Below 0x20 only what stands between the values is left in JSON.
    if (code >= 0x7F && acts(code) && (point.size() > 1 || code == 0x7F)) {
      out += fmt::format("\\u{:04x}", code);
    } else {
      out += point;
    }
  }
  return out;
}

}  // namespace leat
