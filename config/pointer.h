// JSON Pointers (RFC 6901): "" is the whole document, "/a/b~1c/0" is member "b/c" of "a", element 0.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "proto/base/result.h"

namespace leat::config {

struct PointerToken {
  std::string key;                   // decoded (~0, ~1 resolved), UTF-8
  std::optional<std::size_t> index;  // set when `key` is also a valid array index: "0" or no leading zero
  bool operator==(const PointerToken& other) const { return key == other.key; }
};

class Pointer {
 public:
  Pointer() = default;
  // Fails (kReject) with what is wrong: no leading '/', a '~' not followed by 0 or 1, invalid UTF-8.
  [[nodiscard]] static Result<Pointer> parse(std::string_view text);

  const std::vector<PointerToken>& tokens() const { return tokens_; }
  const std::string& text() const { return text_; }  // as it was written
  bool empty() const { return tokens_.empty(); }     // the whole document
  bool operator==(const Pointer& other) const { return tokens_ == other.tokens_; }

 private:
  std::string text_;
  std::vector<PointerToken> tokens_;
};

}  // namespace leat::config
