#include "workers/writer/file.h"

#include <fcntl.h>
#include <fmt/format.h>
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

#include "proto/base/mounts.h"

namespace leat::writer {

tl::unexpected<Error> io_failure(std::string_view action, const std::string& path, int error) {
  if (error == EPIPE) {
    return fail(Fault::kFatal,
                fmt::format("what reads {} has closed it (as head does when it has enough): the "
                            "rest is not written",
                            path));
  }
  auto failure = leat::io_failure(action, path, error);
  if (error == EFBIG) failure.value().text += ": rotate.bytes makes smaller files";
  if (error == ENAMETOOLONG)
    failure.value().text += ": the temporary name needs 11 bytes more than the target";
  return failure;
}

Result<void> write_all(int fd, std::string_view bytes, const std::string& path) {
  if (const int error = leat::write_all(fd, bytes); error != 0) return io_failure("write", path, error);
  return {};
}

Result<void> sync_data(int fd, const std::string& path) {
  if (::fdatasync(fd) != 0) return io_failure("sync", path, errno);
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
    const char* hidden = is_unit() ? " (or the sandbox of the unit hides it: docs/systemd.md)" : "";
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
  if (Mounts::now().is_mount_point(folder)) return {};
  return fail(
      Fault::kRetry,
      fmt::format("sink.require_mount: nothing is mounted at {} (a link to a mount is none); mount it",
                  folder));
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
