#include "proto/base/human.h"

#include <fmt/chrono.h>
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <ctime>

namespace leat {

namespace {

// Three digits that count: 1.23, 12.3, 123.
std::string three_digits(double value) {
  if (value < 9.995) return fmt::format("{:.2f}", value);
  if (value < 99.95) return fmt::format("{:.1f}", value);
  return fmt::format("{:.0f}", value);
}

std::size_t bytes_of_code_point(char lead) {
  auto byte = static_cast<unsigned char>(lead);
  return byte < 0xC0 ? 1 : byte < 0xE0 ? 2 : byte < 0xF0 ? 3 : 4;
}

// U+1100 is E1 84 80.
std::size_t columns_of_code_point(std::string_view point) {
  auto lead = static_cast<unsigned char>(point[0]);
  if (lead < 0xE1 || point.size() < 3) return 1;
  if (lead == 0xE2) return 1;  // punctuation, arrows, box drawing, blocks
  return lead == 0xE1 && static_cast<unsigned char>(point[1]) < 0x84 ? 1 : 2;
}

}  // namespace

std::string human_bytes(std::uint64_t bytes) {
  static constexpr std::array kUnits{"KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
  if (bytes < 1024) return fmt::format("{} B", bytes);
  double value = static_cast<double>(bytes) / 1024;
  std::size_t unit = 0;
  while (value >= 999.5 && unit + 1 < kUnits.size()) {
    value /= 1024;
    ++unit;
  }
  return fmt::format("{} {}", three_digits(value), kUnits[unit]);
}

std::string human_count(double count) {
  if (count < 999.5) return fmt::format("{:.0f}", count);
  if (count < 999'500) return three_digits(count / 1e3) + " k";
  if (count < 999.5e6) return three_digits(count / 1e6) + " M";
  return three_digits(count / 1e9) + " G";
}

std::string exact_count(std::uint64_t count) {
  std::string digits = fmt::format("{}", count);
  std::string grouped;
  for (std::size_t i = 0; i < digits.size(); ++i) {
    if (i > 0 && (digits.size() - i) % 3 == 0) grouped += ',';
    grouped += digits[i];
  }
  return grouped;
}

std::string counted(std::uint64_t count, std::string_view noun) {
  return fmt::format("{} {}{}", exact_count(count), noun, count == 1 ? "" : "s");
}

std::string human_rate(double bytes_per_second) {
  return three_digits(bytes_per_second / 1e6) + " MB/s";
}

std::string human_clock(double seconds) {
  auto whole = static_cast<std::uint64_t>(std::clamp(std::ceil(seconds), 0.0, 3.6e9));
  std::uint64_t minutes = whole / 60;
  if (minutes < 60) return fmt::format("{}:{:02}", minutes, whole % 60);
  return fmt::format("{}:{:02}:{:02}", minutes / 60, minutes % 60, whole % 60);
}

std::string human_time(std::int64_t unix_s) {
  return unix_s == 0 ? "-"
                     : fmt::format("{:%Y-%m-%d %H:%M:%S}", fmt::localtime(static_cast<std::time_t>(unix_s)));
}

std::string percent(double part, double whole) {
  return whole > 0 ? fmt::format("{:.1f} %", 100 * part / whole) : "-";
}

std::string_view without_path(std::string_view reason, std::string_view path) {
  const bool named = reason.starts_with(path) && reason.substr(path.size()).starts_with(": ");
  return named ? reason.substr(path.size() + 2) : reason;
}

std::size_t columns(std::string_view text) {
  std::size_t width = 0;
  for (std::size_t at = 0; at < text.size(); at += bytes_of_code_point(text[at])) {
    width += columns_of_code_point(text.substr(at, bytes_of_code_point(text[at])));
  }
  return width;
}

std::string cut_to(std::string_view text, std::size_t width) {
  bool whole = columns(text) <= width;
  std::size_t room = whole ? width : width - std::min<std::size_t>(width, 3);
  std::string out;
  std::size_t used = 0;
  while (!text.empty()) {
    std::string_view point = text.substr(0, bytes_of_code_point(text[0]));
    used += columns_of_code_point(point);
    if (used > room) break;
    auto byte = static_cast<unsigned char>(point[0]);
    if (byte < 0x20 || byte == 0x7F)
      out += '?';
    else
      out += point;
    text.remove_prefix(point.size());
  }
  if (!whole) out.append(std::min<std::size_t>(width, 3), '.');
  return out;
}

}  // namespace leat
