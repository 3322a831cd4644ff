// How long a JSON value is, without decoding it.
#pragma once

#include <cstdint>

#include "workers/stage/json/scan.h"

namespace leat::filter {

// Has this string at least `length` code points, this array or object at least `length` members? Looks no
// further than it must. value: kString, kArray or kObject, as the scanner has checked it.
bool has_length(const json::Value& value, std::uint64_t length);

}  // namespace leat::filter
