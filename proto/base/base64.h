// Base64 (RFC 4648, with padding): bytes that are no UTF-8, in JSON.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace leat {

std::string to_base64(std::string_view bytes);
// nullopt: it is not.
std::optional<std::string> from_base64(std::string_view text);

}  // namespace leat
