// What the scalars of a pipeline file mean: types, sizes, durations.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "config/yaml.h"

namespace leat::config {

// An unquoted scalar is null, true, false, a number when JSON's grammar says so, else a string. kOdd: what
// YAML 1.1 or 1.2 would make a number or a boolean of and JSON would not (0x10, .inf, 1_000, +1, 007, True):
// refused, as one of the two readings would be a surprise. kNone: a list or a mapping.
enum class Scalar : std::uint8_t { kNone, kNull, kTrue, kFalse, kNumber, kString, kOdd };
Scalar scalar_type(const Node& node);

// "a list", "the number 5", "\"abc\"": the "got" half of a message.
std::string describe(const Node& node);

// Bytes: digits and B KiB MiB GiB KB MB GB, or digits alone. nullopt: not a size, or over 2^63 - 1.
std::optional<std::uint64_t> parse_size(std::string_view text);
// Digits and ms s m h d. nullopt: not a duration, or over a hundred years.
std::optional<std::chrono::milliseconds> parse_duration(std::string_view text);

// The shortest text that parses to the value: "16MiB", "1500ms".
std::string format_size(std::uint64_t bytes);
std::string format_duration(std::chrono::milliseconds time);

}  // namespace leat::config
