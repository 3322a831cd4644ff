// JSON strings: decoding, counting. Input is a raw JSON string with its quotes that the scanner has
// checked.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace leat::json {

// The bytes a raw string stands for (UTF-8). Without escapes this is a view into raw; else into scratch.
std::string_view decode(std::string_view raw, std::string& scratch);

// Code points of the decoded string ("\ud83d\ude00" and the character itself both count 1). No decoding is
// done.
std::size_t code_points(std::string_view raw);

// Checks the escapes of what stands between the quotes of a JSON string: known letters, four hex digits,
// paired surrogates. Returns npos when all is well, else the offset of the bad escape's backslash.
std::size_t find_bad_escape(std::string_view inner);

}  // namespace leat::json
