#include "workers/writer/file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>

#include "workers/stage/fd.h"

namespace leat::writer {

bool passes(int error) {
  switch (error) {
    case EIO:
    case ESTALE:
    case ENODEV:
    case ENOTCONN:
    case ETIMEDOUT:
    case EHOSTDOWN:
    case EHOSTUNREACH:
    case ENETDOWN:
    case ENETUNREACH:
    case ECONNABORTED:
    case ECONNRESET:
      return true;
    default:
      return false;
  }
}

namespace {

// Then what looks like a right or a mount may be its sandbox.
bool of_a_unit() {
  return std::getenv("INVOCATION_ID") != nullptr;
}

const char* remedy(int error) {
  switch (error) {
    case ENOSPC:
    case EDQUOT:
      return "no room: free some and run again";
    case EFBIG:
      return "larger than the filesystem or `ulimit -f` allows: rotate.bytes makes smaller files";
    case EROFS:
      return of_a_unit()
                 ? "the sandbox of the unit does not allow it (docs/systemd.md), or it is mounted read-only"
                 : "the filesystem is mounted read-only: remount it, or choose another folder";
    case EACCES:
    case EPERM:
      return of_a_unit()
                 ? "this user may not write there, or the sandbox of the unit forbids it (docs/systemd.md)"
                 : "give this user the right to write there, or choose another folder";
    case ENAMETOOLONG:
      return "choose a shorter name: the temporary name needs 11 bytes more than the target";
    case EMFILE:
    case ENFILE:
      return "raise `ulimit -n`";
    default:
      return passes(error) ? "the disk or the network mount is failing" : nullptr;
  }
}

bool lacks_call(int error) {
  return error == EINVAL || error == ENOSYS || error == EOPNOTSUPP;
}

}  // namespace

tl::unexpected<Error> io_failure(std::string_view action, const std::string& path, int error) {
  if (error == EPIPE) {
    return fail(Fault::kFatal,
                fmt::format("what reads {} has closed it (as head does when it has enough): the "
                            "rest is not written",
                            path));
  }
  std::string text = fmt::format("cannot {} {}: {}", action, path, std::strerror(error));
  if (const char* advice = remedy(error)) text += fmt::format("; {}", advice);
  return fail(passes(error) ? Fault::kRetry : Fault::kFatal, std::move(text));
}

Result<void> write_all(int fd, std::string_view bytes, const std::string& path) {
  while (!bytes.empty()) {
    ssize_t count = ::write(fd, bytes.data(), bytes.size());
    if (count > 0) {
      bytes.remove_prefix(static_cast<std::size_t>(count));
    } else if (count == 0) {
      return io_failure("write", path, EIO);
    } else if (errno == EAGAIN) {
      pollfd room{fd, POLLOUT, 0};
      if (::poll(&room, 1, -1) < 0 && errno != EINTR) return io_failure("write", path, errno);
    } else if (errno != EINTR) {
      return io_failure("write", path, errno);
    }
  }
  return {};
}

Result<void> sync_data(int fd, const std::string& path) {
  if (::fdatasync(fd) != 0) return io_failure("sync", path, errno);
  return {};
}

Result<void> sync_folder(const std::string& folder) {
  stage::Fd fd(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!fd) return io_failure("open the folder", folder, errno);
  if (::fsync(fd.get()) != 0 && !lacks_call(errno)) return io_failure("sync the folder", folder, errno);
  return {};
}

Result<void> sync_folders(std::set<std::string>& folders) {
  while (!folders.empty()) {
    if (auto synced = sync_folder(*folders.begin()); !synced) return synced;
    folders.erase(folders.begin());
  }
  return {};
}

Result<std::optional<FileInfo>> stat_file(const std::string& path) {
  struct stat info {};
  if (::lstat(path.c_str(), &info) == 0) {
    return FileInfo{.device = info.st_dev,
                    .inode = info.st_ino,
                    .size = static_cast<std::uint64_t>(info.st_size),
                    .regular = S_ISREG(info.st_mode)};
  }
  if (errno == ENOENT || errno == ENOTDIR) return std::optional<FileInfo>();
  return io_failure("stat", path, errno);
}

Result<FileInfo> stat_file(int fd, const std::string& path) {
  struct stat info {};
  if (::fstat(fd, &info) != 0) return io_failure("stat", path, errno);
  return FileInfo{.device = info.st_dev,
                  .inode = info.st_ino,
                  .size = static_cast<std::uint64_t>(info.st_size),
                  .regular = S_ISREG(info.st_mode)};
}

bool is_special(const std::string& path) {
  struct stat info {};
  return path == "/dev/stdout" || (::stat(path.c_str(), &info) == 0 && !S_ISREG(info.st_mode));
}

bool is_private(const std::string& folder) {
  struct stat info {};
  if (::stat(folder.c_str(), &info) != 0) return false;
  return (info.st_uid == ::geteuid() || info.st_uid == 0) && (info.st_mode & (S_IWGRP | S_IWOTH)) == 0;
}

namespace {

// It shows the owners that its server or a mount option names.
bool is_network(int fd) {
  struct statfs info {};
  if (::fstatfs(fd, &info) != 0) return false;
  switch (static_cast<std::uint32_t>(info.f_type)) {
    case 0x6969:      // nfs
    case 0xFF534D42:  // cifs
    case 0xFE534D42:  // smb2
    case 0x517B:      // smb
    case 0x65735546:  // fuse
    case 0x01021997:  // 9p
    case 0x00C36400:  // ceph
    case 0x5346414F:  // afs
      return true;
    default:
      return false;
  }
}

}  // namespace

Result<void> check_owner(int fd, const std::string& path) {
  struct stat info {
  }, folder{};
  std::string in = folder_of(path);
  if (::fstat(fd, &info) != 0) return io_failure("stat", path, errno);
  if (::stat(in.c_str(), &folder) != 0) return io_failure("stat", in, errno);
  if (is_private(in) || is_network(fd)) return {};
  if (S_ISREG(info.st_mode) && info.st_nlink > 1) {
    return fail(Fault::kFatal,
                fmt::format("{} has another name too, and others can write to {}: remove it, or choose "
                            "another path",
                            path, in),
                kExitConfig);
  }
  if (info.st_uid == ::geteuid() || info.st_uid == 0 || info.st_uid == folder.st_uid) return {};
  return fail(Fault::kFatal,
              fmt::format("{} was put there by user {}, as others can write to {}: remove it, or choose "
                          "another path",
                          path, info.st_uid, in),
              kExitConfig);
}

Result<void> cut(int fd, std::uint64_t length, const std::string& path) {
  if (::ftruncate(fd, static_cast<off_t>(length)) != 0) return io_failure("cut", path, errno);
  return {};
}

std::string folder_of(std::string_view path) {
  std::size_t slash = path.rfind('/');
  return slash == std::string_view::npos || slash == 0 ? "/" : std::string(path.substr(0, slash));
}

std::string name_of(std::string_view path) {
  return std::string(path.substr(path.rfind('/') + 1));
}

Result<void> make_folders(const std::string& fixed, const std::string& folder) {
  for (std::size_t end = fixed.size(); end < folder.size();) {
    std::size_t begin = folder.find_first_not_of('/', end);
    if (begin == std::string::npos) break;
    end = std::min(folder.find('/', begin), folder.size());
    std::string path = folder.substr(0, end);
    if (::mkdir(path.c_str(), 0777) == 0) {
      if (auto synced = sync_folder(folder_of(path)); !synced) return synced;
    } else if (errno != EEXIST) {
      return io_failure("create the folder", path, errno);
    }
  }
  return {};
}

Result<void> check_folder(const std::string& folder) {
  struct stat info {};
  int error = ::stat(folder.c_str(), &info) == 0 ? 0 : errno;
  if (error == ENOENT) {
    const char* hidden = of_a_unit() ? " (or the sandbox of the unit hides it: docs/systemd.md)" : "";
    return fail(Fault::kFatal,
                fmt::format("no such folder: {}; create it: mkdir -p '{}'{}", folder, folder, hidden),
                kExitConfig);
  }
  if (error == ENOTDIR || (error == 0 && !S_ISDIR(info.st_mode))) {
    return fail(Fault::kFatal, fmt::format("not a folder: {}; choose another path", folder), kExitConfig);
  }
  if (error == 0 && ::faccessat(AT_FDCWD, folder.c_str(), W_OK | X_OK, AT_EACCESS) != 0) error = errno;
  if (error != 0) return io_failure("write to the folder", folder, error);
  return {};
}

Result<void> check_mount(const std::string& folder) {
  struct statx info {};
  if (::statx(AT_FDCWD, folder.c_str(), 0, STATX_TYPE, &info) == 0 &&
      (info.stx_attributes & STATX_ATTR_MOUNT_ROOT) != 0) {
    return {};
  }
  return fail(Fault::kRetry, fmt::format("sink.require_mount: nothing is mounted at {}; mount it", folder));
}

Result<bool> rename_no_replace(const std::string& from, const std::string& to) {
  if (::renameat2(AT_FDCWD, from.c_str(), AT_FDCWD, to.c_str(), RENAME_NOREPLACE) == 0) return true;
  if (errno == EEXIST) return false;
  if (lacks_call(errno)) return link_no_replace(from, to);
  return io_failure("rename to", to, errno);
}

Result<bool> link_no_replace(const std::string& from, const std::string& to) {
  if (::link(from.c_str(), to.c_str()) == 0) {
    if (::unlink(from.c_str()) != 0) return io_failure("remove", from, errno);
    return true;
  }
  if (errno == EEXIST) return false;
  if (!lacks_call(errno) && errno != EPERM) return io_failure("rename to", to, errno);
  // Neither call (some FUSE filesystems): look first. Only a stranger could get in between; leat holds
  // the lock.
  struct stat info {};
  if (::lstat(to.c_str(), &info) == 0) return false;
  if (::rename(from.c_str(), to.c_str()) != 0) return io_failure("rename to", to, errno);
  return true;
}

// /proc/locks, proc(5): "1: FLOCK  ADVISORY  WRITE 1234 08:01:5678 0 EOF".
std::string lock_holder(const FileInfo& info) {
  std::ifstream locks("/proc/locks");
  for (std::string line; std::getline(locks, line);) {
    int pid = 0;
    unsigned int major = 0;
    unsigned int minor = 0;
    unsigned long inode = 0;
    int fields = std::sscanf(line.c_str(), "%*d: FLOCK %*s %*s %d %x:%x:%lu", &pid, &major, &minor, &inode);
    if (fields != 4 || inode != info.inode || makedev(major, minor) != info.device || pid <= 0) continue;
    return fmt::format("pid {}", pid);
  }
  return "another process";
}

Result<bool> lock(int fd, const std::string& path, bool alone) {
  if (::flock(fd, LOCK_EX | LOCK_NB) == 0) return true;
  if (errno == EWOULDBLOCK) return false;
  if (alone && (errno == ENOLCK || lacks_call(errno))) return true;
  return io_failure("lock", path, errno);
}

}  // namespace leat::writer
