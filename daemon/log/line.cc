#include "daemon/log/line.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>

#include "proto/base/text.h"

namespace leat::log {

namespace {

bool needs_quotes(std::string_view escaped) {
  return escaped.empty() || escaped.find_first_of(" =\"\\") != std::string_view::npos;
}

}  // namespace

std::string Value::format(double value) {
  return fmt::format("{:.6g}", value);
}

std::string escaped(std::string_view text) {
  constexpr std::string_view kCut = "...";
  // Every piece is at least a byte long, so what lies behind this is cut in any case; a code point may end behind the cap.
  const bool long_text = text.size() > kMaxValueBytes;
  if (long_text) text = text.substr(0, kMaxValueBytes + 4);
  std::string out;
  std::size_t room = 0;  // where to cut, should it be too long
  while (!text.empty() && out.size() <= kMaxValueBytes) {
    const std::string_view point = text.substr(0, std::max<std::size_t>(utf8_point(text), 1));
    if (point == "\"" || point == "\\") out += '\\';
    out += printable(point);
    if (out.size() + kCut.size() <= kMaxValueBytes) room = out.size();
    text.remove_prefix(point.size());
  }
  if (!long_text && out.size() <= kMaxValueBytes) return out;
  out.resize(room);
  return out.append(kCut);
}

std::string fields_text(const Fields& fields) {
  std::string out;
  for (const Field& field : fields) {
    const std::string value = escaped(field.value.text());
    const std::string_view quote = needs_quotes(value) ? "\"" : "";
    fmt::format_to(std::back_inserter(out), "{}{}={}{}{}", out.empty() ? "" : " ", field.key, quote, value,
                   quote);
  }
  return out;
}

std::string_view find(const Fields& fields, std::string_view key) {
  auto found =
      std::find_if(fields.begin(), fields.end(), [&](const Field& field) { return field.key == key; });
  return found == fields.end() ? std::string_view() : found->value.text();
}

}  // namespace leat::log
