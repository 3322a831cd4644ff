// What a worker that is a systemd unit tells its service manager (sd_notify(3)): one datagram, and nothing without
// NOTIFY_SOCKET. The protocol is small and stable; libsystemd would cost every processor memory.
#pragma once

#include <string_view>

namespace leat::stage {

// Lines such as "READY=1" and "STATUS=...". Never fails: a manager that does not listen is no fault of ours.
void notify_service_manager(std::string_view lines);

}  // namespace leat::stage
