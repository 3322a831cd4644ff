#include "config/pointer.h"

#include <fmt/format.h>

#include <charconv>

#include "config/text.h"
#include "proto/base/text.h"

namespace leat::config {
namespace {

std::optional<std::size_t> array_index(std::string_view key) {
  if (key.empty() || (key.size() > 1 && key[0] == '0')) return std::nullopt;
  std::size_t index = 0;
  const auto [end, error] = std::from_chars(key.data(), key.data() + key.size(), index);
  if (error != std::errc() || end != key.data() + key.size()) return std::nullopt;
  return index;
}

// "meta.host", "$.meta.host", ".tags[0]": what other tools write for "/meta/host" and "/tags/0".
std::string as_pointer(std::string_view text) {
  if (text.starts_with('$')) text.remove_prefix(1);
  if (text.starts_with('.')) text.remove_prefix(1);
  std::string pointer = "/";
  for (const char c : text) {
    if (c == '.' || c == '[') {
      pointer += '/';
    } else if (c != ']' && c != '"' && c != '\'') {
      pointer += c;
    }
  }
  return pointer;
}

}  // namespace

Result<Pointer> Pointer::parse(std::string_view text) {
  if (!is_utf8(text)) return fail(Fault::kReject, "expected a JSON Pointer, got text that is not UTF-8");
  Pointer pointer;
  pointer.text_ = text;
  if (text.empty()) return pointer;
  if (text[0] != '/') {
    return fail(Fault::kReject,
                fmt::format("expected a JSON Pointer, which begins with '/', got {} (did you mean {}?)",
                            in_quotes(text), in_quotes(as_pointer(text))));
  }
  std::string key;
  const auto finish = [&] {
    pointer.tokens_.push_back({key, array_index(key)});
    key.clear();
  };
  for (std::size_t at = 1; at < text.size(); ++at) {
    if (text[at] == '/') {
      finish();
    } else if (text[at] != '~') {
      key += text[at];
    } else if (at + 1 < text.size() && (text[at + 1] == '0' || text[at + 1] == '1')) {
      key += text[++at] == '0' ? '~' : '/';
    } else {
      return fail(
          Fault::kReject,
          fmt::format("in the JSON Pointer {} a '~' is not followed by 0 or 1: write ~0 for '~', ~1 for '/'",
                      in_quotes(text)));
    }
  }
  finish();
  return pointer;
}

}  // namespace leat::config
