#include "config/printable.h"

#include <fmt/format.h>

#include <cstdint>

#include "config/text.h"

namespace leat::config {

namespace {

// Length of the code point or of the byte that is none at the front of text, which is not empty.
std::size_t piece(std::string_view text) {
  const auto lead = static_cast<unsigned char>(text[0]);
  const std::size_t length = lead < 0xC0 ? 1 : lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4;
  return length > 1 && text.size() >= length && is_utf8(text.substr(0, length)) ? length : 1;
}

std::uint32_t decode(std::string_view point) {
  const auto lead = static_cast<unsigned char>(point[0]);
  if (point.size() == 1) return lead;
  std::uint32_t code = lead & (0xFFU >> (point.size() + 1));
  for (const char c : point.substr(1)) code = (code << 6) | (static_cast<unsigned char>(c) & 0x3FU);
  return code;
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

std::string printable(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  while (!text.empty()) {
    const std::string_view point = text.substr(0, piece(text));
    text.remove_prefix(point.size());
    const std::uint32_t code = decode(point);
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
    const std::uint32_t code = decode(point);
    // Below 0x20 only what stands between the values is left in JSON.
    if (code >= 0x7F && acts(code) && (point.size() > 1 || code == 0x7F)) {
      out += fmt::format("\\u{:04x}", code);
    } else {
      out += point;
    }
  }
  return out;
}

}  // namespace leat::config
