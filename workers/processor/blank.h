// Blanks between the tokens of JSON.
#pragma once

namespace leat::processor {

inline bool is_blank(char byte) {
  return byte == ' ' || byte == '\t' || byte == '\n' || byte == '\r';
}

// The end of a token that starts at begin and has only blanks behind it until end. A token has at least one
// byte.
inline const char* trim(const char* begin, const char* end) {
  while (end > begin + 1 && is_blank(end[-1])) --end;
  return end;
}

}  // namespace leat::processor
