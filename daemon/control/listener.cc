// Whether a socket file is stale is found out by connecting to it: a process number could lie. Two servers that start
// at once could both find the old file dead, and the second would remove what the first has just made; so looking and
// making is done with a lock on the folder. Who has that lock for long is no second server, and is not waited for.
#include "daemon/control/listener.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <grp.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "daemon/control/address.h"
#include "proto/base/files.h"

namespace leat::control {

namespace {

constexpr int kBacklog = 256;
constexpr int kLockTries = 10;

[[noreturn]] void refuse(const std::string& path, const std::string& why) {
  throw SocketError(fmt::format("control socket {}: {}", path, why));
}

Fd make_socket(const std::string& path) {
  Fd made(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!made) refuse(path, std::strerror(errno));
  return made;
}

sockaddr_un address_or_refuse(const std::string& path) {
  auto address = address_of(path);
  if (!address) throw SocketError(address.error().text);
  return *address;
}

void remove_if_stale(const std::string& path, const sockaddr_un& address) {
  struct stat info {};
  if (::lstat(path.c_str(), &info) != 0) {
    if (errno == ENOENT) return;
    refuse(path, std::strerror(errno));
  }
  if (!S_ISSOCK(info.st_mode)) refuse(path, "something that is no socket is in its place; move it away");
  Fd probe = make_socket(path);
  // A queue that is full (EAGAIN) has an owner too.
  if (::connect(probe.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0 ||
      errno == EAGAIN || errno == EINPROGRESS) {
    refuse(path, "another leatd answers there already; stop it, or choose another --runtime-dir");
  }
  if (errno != ECONNREFUSED && errno != ENOENT) refuse(path, std::strerror(errno));
  if (::unlink(path.c_str()) != 0 && errno != ENOENT) refuse(path, std::strerror(errno));
}

}  // namespace

Listener::Listener(const std::string& path, const std::string& group) : path_(path) {
  std::string folder = folder_of(path);
  Fd lock(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!lock) refuse(path, std::strerror(errno));
  for (int tries = 0; tries < kLockTries && ::flock(lock.get(), LOCK_EX | LOCK_NB) != 0; ++tries)
    ::usleep(20'000);
  bind_at();
  try {
    give_to(group);
  } catch (...) {
    ::unlink(path_.c_str());
    throw;
  }
}

Listener::~Listener() {
  struct stat info {};
  if (::lstat(path_.c_str(), &info) == 0 && info.st_dev == device_ && info.st_ino == inode_) {
    ::unlink(path_.c_str());
  }
}

void Listener::bind_at() {
  sockaddr_un address = address_or_refuse(path_);
  remove_if_stale(path_, address);
  socket_ = make_socket(path_);
  // Nobody else can connect before it is in its group.
  mode_t before = ::umask(0177);
  int bound = ::bind(socket_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address);
  int error = errno;
  ::umask(before);
  if (bound != 0) refuse(path_, std::strerror(error));
}

void Listener::give_to(const std::string& group) {
  // Not in that group, and not root: it stays with our own.
  if (const auto* entry = ::getgrnam(group.c_str()); entry != nullptr) {
    static_cast<void>(::lchown(path_.c_str(), static_cast<uid_t>(-1), entry->gr_gid) == 0);
  }
  struct stat info {};
  if (::chmod(path_.c_str(), 0660) != 0 || ::lstat(path_.c_str(), &info) != 0 ||
      ::listen(socket_.get(), kBacklog) != 0) {
    refuse(path_, std::strerror(errno));
  }
  group_ = info.st_gid;
  device_ = info.st_dev;
  inode_ = info.st_ino;
}

}  // namespace leat::control
