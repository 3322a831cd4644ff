// rename(2) replaces its target without asking, and a look before it leaves a moment for somebody else's file. So
// RENAME_NOREPLACE; where the file system does not have it (NFS), link(2), which never replaces, and unlink(2). Where
// there are no links either (some FUSE), a look and rename(2) is all there is.
#include "proto/base/files.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "proto/base/fd.h"

namespace leat {

namespace {

const char* remedy(int error) {
  switch (error) {
    case ENOSPC:
    case EDQUOT:
      return "no room: free some and run again";
    case EFBIG:
      return "larger than the filesystem or `ulimit -f` allows";
    case EROFS:
      return is_unit()
                 ? "the sandbox of the unit does not allow it (docs/systemd.md), or it is mounted read-only"
                 : "the filesystem is mounted read-only: remount it, or choose another folder";
    case EACCES:
    case EPERM:
      return is_unit()
                 ? "this user may not write there, or the sandbox of the unit forbids it (docs/systemd.md)"
                 : "give this user the right to write there, or choose another folder";
    case ENAMETOOLONG:
      return "choose a shorter name";
    case EMFILE:
    case ENFILE:
      return "raise `ulimit -n`";
    case ENOMEM:
    case EAGAIN:
      return "the machine is short of memory or processes";
    default:
      return is_transient(error) ? "the disk or the network mount is failing" : nullptr;
  }
}

}  // namespace

bool is_transient(int error) {
  switch (error) {
    case EIO:
    case EREMOTEIO:
    case ESTALE:
    case ENODEV:
    case ENOTCONN:
    case ETIMEDOUT:
    case EHOSTDOWN:
    case EHOSTUNREACH:
    case ENETDOWN:
    case ENETUNREACH:
    case ENETRESET:
    case ECONNABORTED:
    case ECONNREFUSED:
    case ECONNRESET:
    case EAGAIN:
    case ENOMEM:
    case EMFILE:
    case ENFILE:
      return true;
    default:
      return false;
  }
}

bool lacks_call(int error) {
  return error == EINVAL || error == ENOSYS || error == EOPNOTSUPP;
}

bool is_unit() {
  return std::getenv("INVOCATION_ID") != nullptr;
}

tl::unexpected<Error> io_failure(std::string_view action, const std::string& path, int error) {
  std::string text = fmt::format("cannot {} {}: {}", action, path, std::strerror(error));
  if (const char* advice = remedy(error)) text += fmt::format("; {}", advice);
  return fail(is_transient(error) ? Fault::kRetry : Fault::kFatal, std::move(text));
}

std::string folder_of(std::string_view path) {
  const std::size_t slash = path.rfind('/');
  if (slash == std::string_view::npos) return ".";
  return std::string(path.substr(0, slash == 0 ? 1 : slash));
}

std::string name_of(std::string_view path) {
  return std::string(path.substr(path.rfind('/') + 1));
}

std::string fixed_folder(std::string_view pattern, std::string_view special) {
  return folder_of(pattern.substr(0, pattern.find_first_of(special)));
}

int write_all(int fd, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t count = ::write(fd, bytes.data(), bytes.size());
    if (count > 0) {
      bytes.remove_prefix(static_cast<std::size_t>(count));
    } else if (count == 0) {
      return EIO;
    } else if (errno == EAGAIN) {
      pollfd room{fd, POLLOUT, 0};
      if (::poll(&room, 1, -1) < 0 && errno != EINTR) return errno;
    } else if (errno != EINTR) {
      return errno;
    }
  }
  return 0;
}

Result<void> sync_folder(const std::string& folder) {
  const Fd fd(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!fd) return io_failure("open the folder", folder, errno);
  if (::fsync(fd.get()) != 0 && !lacks_call(errno)) return io_failure("sync the folder", folder, errno);
  return {};
}

Result<void> rename_durably(const std::string& from, const std::string& to) {
  if (::rename(from.c_str(), to.c_str()) != 0) return io_failure("rename", from, errno);
  return sync_folder(folder_of(to));
}

int rename_no_replace(const std::string& from, const std::string& to) {
  if (::renameat2(AT_FDCWD, from.c_str(), AT_FDCWD, to.c_str(), RENAME_NOREPLACE) == 0) return 0;
  return lacks_call(errno) ? link_no_replace(from, to) : errno;
}

int link_no_replace(const std::string& from, const std::string& to) {
  if (::link(from.c_str(), to.c_str()) == 0) return ::unlink(from.c_str()) == 0 ? 0 : errno;
  if (!lacks_call(errno) && errno != EPERM && errno != EMLINK) return errno;
  struct stat found {};
  if (::lstat(to.c_str(), &found) == 0) return EEXIST;
  return ::rename(from.c_str(), to.c_str()) == 0 ? 0 : errno;
}

}  // namespace leat
