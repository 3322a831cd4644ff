// The file of a local socket: made, given to a group, and removed again.
#pragma once

#include <sys/types.h>

#include <stdexcept>
#include <string>

#include "proto/base/fd.h"

namespace leat::control {

// The socket cannot be had; says which and what to do.
class SocketError : public std::runtime_error {
  using std::runtime_error::runtime_error;
};

class Listener {
 public:
  // Listens at `path` (mode 0660; of `group`, if there is such a group and we may). A socket file that is there is removed
  // when nobody answers on it; anything else that is there stays. Throws SocketError: somebody answers, or it cannot be
  // made.
  Listener(const std::string& path, const std::string& group);
  Listener(const Listener&) = delete;
  Listener& operator=(const Listener&) = delete;
  ~Listener();  // removes the file, unless it is another one by now

  int fd() const { return socket_.get(); }  // does not block
  gid_t group() const { return group_; }    // whom the file belongs to

 private:
  void bind_at();
  void give_to(const std::string& group);

  std::string path_;
  Fd socket_;
  gid_t group_ = 0;
  dev_t device_ = 0;
  ino_t inode_ = 0;
};

}  // namespace leat::control
