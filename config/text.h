// Small text work for the parser: quoting for messages, "did you mean".
#pragma once

#include <span>
#include <string>
#include <string_view>

namespace leat::config {

// text between double quotes for a message: one line, cut after 60 bytes, control characters as '?'.
std::string in_quotes(std::string_view text);

// " (did you mean \"paths\"?)" for the name nearest to `word`, or "" when none is near. Nearness is
// Levenshtein's edit distance, at most a third of the word's length rounded up; upper and lower case count as
// equal.
std::string did_you_mean(std::string_view word, std::span<const std::string_view> names);

// "a, b, c"
std::string joined(std::span<const std::string_view> names);

}  // namespace leat::config
