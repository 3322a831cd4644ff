// Sizes and durations as they are written in a pipeline file.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace leat::config {

// Bytes: digits and B KiB MiB GiB KB MB GB, or digits alone. nullopt: not a size, or over 2^63 - 1.
std::optional<std::uint64_t> parse_size(std::string_view text);
// Digits and ms s m h d. nullopt: not a duration, or over a hundred years.
std::optional<std::chrono::milliseconds> parse_duration(std::string_view text);

// The shortest text that parses to the value: "16MiB", "1500ms".
std::string format_size(std::uint64_t bytes);
std::string format_duration(std::chrono::milliseconds time);

}  // namespace leat::config
