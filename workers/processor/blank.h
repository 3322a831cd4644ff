// Blanks between the tokens of JSON.
#pragma once

namespace leat::processor {

// In JSON that was checked nothing else that small stands outside of strings.
inline bool is_blank(char byte) {
  return static_cast<unsigned char>(byte) <= ' ';
}

// The end of a token that starts at begin and has only blanks behind it until end. A token has at least one
// byte.
inline const char* trim(const char* begin, const char* end) {
  while (end > begin + 1 && is_blank(end[-1])) --end;
  return end;
}

}  // namespace leat::processor
