// Where the control socket of a leatd is.
#pragma once

#include <sys/un.h>

#include <string>

#include "proto/base/result.h"

namespace leat::control {

// RUNTIME_DIR/leatd.sock.
std::string socket_path(const std::string& runtime_dir);

// kFatal, 78: the path is longer than a socket's may be (107 bytes).
[[nodiscard]] Result<sockaddr_un> address_of(const std::string& path);

}  // namespace leat::control
