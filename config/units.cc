#include "config/units.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <utility>

#include "config/pipeline.h"

namespace leat::config {
namespace {

using std::chrono::milliseconds;

constexpr std::uint64_t kLargestSize = (1ULL << 63) - 1;
constexpr std::uint64_t kLongestMs = 36'500ULL * 24 * 3600 * 1000;

struct Unit {
  std::string_view name;
  std::uint64_t value;
};
constexpr std::array<Unit, 7> kSizeUnits = {{{"B", 1},
                                             {"KiB", kKiB},
                                             {"MiB", kMiB},
                                             {"GiB", kGiB},
                                             {"KB", 1000},
                                             {"MB", 1000 * 1000},
                                             {"GB", 1000 * 1000 * 1000}}};
constexpr std::array<Unit, 5> kTimeUnits = {
    {{"ms", 1}, {"s", 1000}, {"m", 60'000}, {"h", 3'600'000}, {"d", 86'400'000}}};

template <std::size_t N>
std::optional<std::uint64_t> parse_units(std::string_view text, const std::array<Unit, N>& units,
                                         std::uint64_t most, std::string_view bare) {
  const std::size_t count = std::min(text.find_first_not_of("0123456789"), text.size());
  std::uint64_t value = 0;
  if (std::from_chars(text.data(), text.data() + count, value).ec != std::errc()) return std::nullopt;
  std::string_view name = text.substr(count);
  if (name.empty()) name = bare;
  for (const Unit& unit : units) {
    if (unit.name != name) continue;
    if (value > most / unit.value) return std::nullopt;
    return value * unit.value;
  }
  return std::nullopt;
}

template <std::size_t N>
std::string format_units(std::uint64_t value, const std::array<Unit, N>& units) {
  std::string shortest;
  for (const Unit& unit : units) {
    if (value % unit.value != 0) continue;
    std::string text = fmt::format("{}{}", value / unit.value, unit.name);
    if (shortest.empty() || text.size() <= shortest.size()) shortest = std::move(text);
    if (value == 0) break;
  }
  return shortest;
}

}  // namespace

std::optional<std::uint64_t> parse_size(std::string_view text) {
  return parse_units(text, kSizeUnits, kLargestSize, "B");
}

std::optional<milliseconds> parse_duration(std::string_view text) {
  const auto ms = parse_units(text, kTimeUnits, kLongestMs, "");
  if (!ms) return std::nullopt;
  return milliseconds(static_cast<milliseconds::rep>(*ms));
}

std::string format_size(std::uint64_t bytes) {
  return format_units(bytes, kSizeUnits);
}

std::string format_duration(milliseconds time) {
  return format_units(static_cast<std::uint64_t>(time.count()), kTimeUnits);
}

}  // namespace leat::config
