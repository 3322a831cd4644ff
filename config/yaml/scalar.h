// What the scalars of a pipeline file are.
#pragma once

#include <cstdint>
#include <string>

#include "config/yaml/yaml.h"

namespace leat::config {

// An unquoted scalar is null, true, false, a number when JSON's grammar says so, else a string. kOdd: what
// YAML 1.1 or 1.2 would make a number or a boolean of and JSON would not (0x10, .inf, 1_000, +1, 007, True):
// refused, as one of the two readings would be a surprise. kNone: a list or a mapping.
enum class Scalar : std::uint8_t { kNone, kNull, kTrue, kFalse, kNumber, kString, kOdd };
Scalar scalar_type(const Node& node);

// "a list", "the number 5", "\"abc\"": the "got" half of a message.
std::string describe(const Node& node);

}  // namespace leat::config
