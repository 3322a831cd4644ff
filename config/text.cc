#include "config/text.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdint>
#include <utility>
#include <vector>

#include "proto/base/text.h"

namespace leat::config {
namespace {

// What other tools call it, which may look more like another of our names: "gte" is not "gt".
constexpr std::pair<std::string_view, std::string_view> kOtherNames[] = {{"gte", "ge"},
                                                                         {"lte", "le"},
                                                                         {"neq", "ne"},
                                                                         {"equals", "eq"},
                                                                         {"equal", "eq"},
                                                                         {"regex", "matches"},
                                                                         {"regexp", "matches"},
                                                                         {"match", "matches"},
                                                                         {"prefix", "starts_with"},
                                                                         {"includes", "contains"},
                                                                         {"nin", "not_in"},
                                                                         {"delete", "drop"},
                                                                         {"remove", "drop"},
                                                                         {"select", "keep"},
                                                                         {"move", "rename"},
                                                                         {"sub", "replace"},
                                                                         {"gsub", "replace"},
                                                                         {"command", "exec"},
                                                                         {"run", "exec"},
                                                                         {"gz", "gzip"},
                                                                         {"zst", "zstd"},
                                                                         {"zstandard", "zstd"},
                                                                         {"path", "paths"},
                                                                         {"files", "paths"},
                                                                         {"ignore", "exclude"},
                                                                         {"input", "source"},
                                                                         {"output", "sink"},
                                                                         {"out", "sink"}};

constexpr std::size_t kLongestGuess = 64;  // a longer word gets no suggestion: the distance is quadratic
constexpr std::size_t kLongestQuote = 60;

char lower(char c) {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}

std::size_t distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> row(b.size() + 1);
  for (std::size_t j = 0; j <= b.size(); ++j) row[j] = j;
  for (std::size_t i = 0; i < a.size(); ++i) {
    std::size_t diagonal = row[0];
    row[0] = i + 1;
    for (std::size_t j = 0; j < b.size(); ++j) {
      const std::size_t changed = diagonal + (lower(a[i]) == lower(b[j]) ? 0 : 1);
      diagonal = row[j + 1];
      row[j + 1] = std::min({changed, diagonal + 1, row[j] + 1});
    }
  }
  return row[b.size()];
}

}  // namespace

std::string in_quotes(std::string_view text) {
  std::size_t end = std::min(text.size(), kLongestQuote);
  while (end < text.size() && end > 0 && (static_cast<unsigned char>(text[end]) & 0xC0U) == 0x80U) --end;
  std::string out = "\"";
  out += printable(text.substr(0, end));
  out += end < text.size() ? "...\"" : "\"";
  return out;
}

std::string did_you_mean(std::string_view word, std::span<const std::string_view> names) {
  if (word.empty() || word.size() > kLongestGuess) return "";
  for (const auto& [other, name] : kOtherNames) {
    if (word == other && std::ranges::find(names, name) != names.end())
      return fmt::format(" (did you mean {}?)", in_quotes(name));
  }
  std::size_t nearest = (word.size() + 2) / 3 + 1;
  std::string_view found;
  for (const std::string_view name : names) {
    const std::size_t steps = distance(word, name);
    if (steps < nearest && steps < name.size()) {
      nearest = steps;
      found = name;
    }
  }
  return found.empty() ? "" : fmt::format(" (did you mean {}?)", in_quotes(found));
}

std::string joined(std::span<const std::string_view> names) {
  return fmt::format("{}", fmt::join(names, ", "));
}

}  // namespace leat::config
