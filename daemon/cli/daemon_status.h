// What leatd says of itself and its pipelines, as a person reads it.
#pragma once

#include <string>
#include <string_view>

#include "proto/base/result.h"
#include "proto/status.h"

namespace leat::cli {

// kFatal: it is not what a leatd of this version says.
[[nodiscard]] Result<proto::Status> parse_status(std::string_view data);

// Lines of at most `width` columns, but for what leatd says in words and its events. unicode: block elements may be used.
std::string to_text(const proto::Status& status, std::size_t width, bool unicode);

}  // namespace leat::cli
