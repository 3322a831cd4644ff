#include "daemon/control/address.h"

#include <fmt/format.h>
#include <sys/socket.h>

#include <cstring>

namespace leat::control {

std::string socket_path(const std::string& runtime_dir) {
  return runtime_dir + (runtime_dir.ends_with('/') ? "leatd.sock" : "/leatd.sock");
}

Result<sockaddr_un> address_of(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.empty() || path.size() >= sizeof address.sun_path) {
    return fail(
        Fault::kFatal,
        fmt::format("control socket {}: its path must have 1 to {} bytes; choose another --runtime-dir", path,
                    sizeof address.sun_path - 1),
        kExitConfig);
  }
  std::memcpy(address.sun_path, path.data(), path.size());
  return address;
}

}  // namespace leat::control
