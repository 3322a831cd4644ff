// Small text work for the parser: UTF-8, JSON quoting, quoting for messages, "did you mean".
#pragma once

#include <span>
#include <string>
#include <string_view>

namespace leat::config {

// How many bytes from the start are valid UTF-8, as RFC 3629 has it: no surrogates, no overlong forms.
std::size_t utf8_prefix(std::string_view text);
inline bool is_utf8(std::string_view text) {
  return utf8_prefix(text) == text.size();
}

// Appends text (valid UTF-8) as a JSON string; escapes only what RFC 8259 demands.
void append_json_string(std::string& out, std::string_view text);

// text between double quotes for a message: one line, cut after 60 bytes, control characters as '?'.
std::string in_quotes(std::string_view text);

// " (did you mean \"paths\"?)" for the name nearest to `word`, or "" when none is near. Nearness is
// Levenshtein's edit distance, at most a third of the word's length rounded up; upper and lower case count as
// equal.
std::string did_you_mean(std::string_view word, std::span<const std::string_view> names);

// "a, b, c"
std::string joined(std::span<const std::string_view> names);

}  // namespace leat::config
