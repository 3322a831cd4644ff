// Who is at the other end of a local socket, as the kernel says.
#pragma once

#include <sys/types.h>

#include <vector>

namespace leat::control {

struct Peer {
  pid_t pid = 0;  // for messages only: the number may have been used again
  uid_t uid = 0;
  gid_t gid = 0;
  std::vector<gid_t> groups;  // supplementary
  bool may_change = false;    // root, our own user, or a member of the group that the socket belongs to
};

// Of a connected socket, as it was when it connected. Nobody in particular (and may_change false) when the kernel does not
// say.
Peer peer_of(int socket, uid_t own, gid_t socket_group);

}  // namespace leat::control
