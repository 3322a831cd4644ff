// Text from elsewhere (a path, a record, what a program said) for a terminal, which acts on none of it: control characters (C1
// too), ends of lines, marks that turn the direction of writing and bytes that are not UTF-8 are written as \n, \x1b, \u202e.
#pragma once

#include <string>
#include <string_view>

namespace leat::config {

// On one line.
std::string printable(std::string_view text);
// Newlines stay: for text that was put together of printable lines.
std::string printable_lines(std::string_view text);
// JSON text that means what it meant.
std::string printable_json(std::string_view json);

}  // namespace leat::config
