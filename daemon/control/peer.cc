#include "daemon/control/peer.h"

#include <sys/socket.h>

#include <algorithm>
#include <cerrno>

namespace leat::control {

namespace {

constexpr uid_t kNobody = static_cast<uid_t>(-1);

std::vector<gid_t> groups_of(int socket) {
  std::vector<gid_t> groups(32);
  for (int tries = 0; tries < 2; ++tries) {
    auto bytes = static_cast<socklen_t>(groups.size() * sizeof(gid_t));
    bool fits = ::getsockopt(socket, SOL_SOCKET, SO_PEERGROUPS, groups.data(), &bytes) == 0;
    if (!fits && errno != ERANGE) return {};
    groups.resize(bytes / sizeof(gid_t));  // as many as there are, or as are needed
    if (fits) return groups;
  }
  return {};
}

}  // namespace

Peer peer_of(int socket, uid_t own, gid_t socket_group) {
  Peer peer;
  ucred credentials{};
  socklen_t bytes = sizeof credentials;
  if (::getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &credentials, &bytes) != 0) {
    peer.uid = kNobody;
    peer.gid = kNobody;
    return peer;
  }
  peer.pid = credentials.pid;
  peer.uid = credentials.uid;
  peer.gid = credentials.gid;
  peer.groups = groups_of(socket);
  bool member = peer.gid == socket_group ||
                std::find(peer.groups.begin(), peer.groups.end(), socket_group) != peer.groups.end();
  peer.may_change = peer.uid == 0 || peer.uid == own || member;
  return peer;
}

}  // namespace leat::control
