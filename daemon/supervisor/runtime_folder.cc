// A folder is alive while a process holds the lock on the file in it, and the kernel gives that up with the
// process, whatever kills it: no process number has to be believed. Between mkdir and flock a new folder
// looks dead, so making one and cleaning up exclude each other by a second lock, on the root itself.
//
// The root may be a folder the user named, with anything in it. So only a folder whose name is like ours and
// whose lock file holds kMark is a run's, and only its files and sockets are removed, never folders below it.
#include "daemon/supervisor/runtime_folder.h"

#include <dirent.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <memory>
#include <vector>

namespace leat::supervisor {

namespace {

constexpr std::string_view kMark = "leat runtime folder\n";
constexpr std::string_view kLock = "lock";

[[noreturn]] void refuse(const std::string& path, const std::string& why) {
  throw FolderError(fmt::format("runtime folder {}: {}; choose another one with --runtime-dir", path, why));
}

[[noreturn]] void refuse(const std::string& path, int error) {
  const bool full = error == ENOSPC || error == EDQUOT;
  if (!full) refuse(path, std::strerror(error));
  throw FolderError(
      fmt::format("runtime folder {}: {}; free some room, or choose another one with --runtime-dir", path,
                  std::strerror(error)),
      full);
}

struct CloseFolder {
  void operator()(DIR* folder) const { ::closedir(folder); }
};

// Names but "." and "..".
std::vector<std::string> names_in(int folder) {
  std::vector<std::string> names;
  int copy = ::openat(folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  std::unique_ptr<DIR, CloseFolder> stream(copy < 0 ? nullptr : ::fdopendir(copy));
  if (stream == nullptr) return names;
  while (const dirent* entry = ::readdir(stream.get())) {
    std::string_view name = entry->d_name;
    if (name != "." && name != "..") names.emplace_back(name);
  }
  return names;
}

bool like_ours(std::string_view name) {
  std::size_t dash = name.rfind('-');
  if (dash == 0 || dash == std::string_view::npos || dash + 1 == name.size()) return false;
  return std::all_of(name.begin() + static_cast<std::ptrdiff_t>(dash) + 1, name.end(),
                     [](char c) { return c >= '0' && c <= '9'; });
}

void remove_folder(int root, const std::string& name, int folder) {
  for (const auto& file : names_in(folder)) ::unlinkat(folder, file.c_str(), 0);
  ::unlinkat(root, name.c_str(), AT_REMOVEDIR);
}

bool is_mark(int file) {
  std::array<char, kMark.size() + 1> bytes{};
  ssize_t count = ::pread(file, bytes.data(), bytes.size(), 0);
  return count == static_cast<ssize_t>(kMark.size()) &&
         std::memcmp(bytes.data(), kMark.data(), kMark.size()) == 0;
}

bool remove_if_dead(int root, const std::string& name) {
  Fd folder(::openat(root, name.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (!folder) return false;
  struct stat status {};
  if (::fstat(folder.get(), &status) != 0 || status.st_uid != ::geteuid()) return false;
  Fd lock(::openat(folder.get(), kLock.data(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
  if (!lock || !is_mark(lock.get()) || ::flock(lock.get(), LOCK_EX | LOCK_NB) != 0) return false;
  remove_folder(root, name, folder.get());
  return true;
}

void remove_stale_in(int root) {
  for (const auto& name : names_in(root)) {
    if (like_ours(name)) remove_if_dead(root, name);
  }
}

// What a leatd that was killed has left under this name.
void clear_fixed(int root, const std::string& name, const std::string& path) {
  if (::faccessat(root, name.c_str(), F_OK, AT_SYMLINK_NOFOLLOW) != 0) return;
  if (!remove_if_dead(root, name)) {
    refuse(path, "another leatd uses it, or it is not a folder of leat's");
  }
}

Fd open_root(const std::string& root, bool chosen) {
  if (::mkdir(root.c_str(), 0700) != 0 && errno != EEXIST) refuse(root, errno);
  Fd folder(::open(root.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC | (chosen ? 0 : O_NOFOLLOW)));
  if (!folder && errno == ELOOP) refuse(root, "is a symbolic link");
  if (!folder) refuse(root, errno);
  struct stat status {};
  if (::fstat(folder.get(), &status) != 0) refuse(root, errno);
  if (!chosen && status.st_uid != ::geteuid()) refuse(root, "belongs to another user");
  if (!chosen && (status.st_mode & 077) != 0) {
    refuse(root, fmt::format("is open to others (mode {:04o}, expected 0700)", status.st_mode & 07777));
  }
  return folder;
}

}  // namespace

std::string default_runtime_root() {
  const char* xdg = std::getenv("XDG_RUNTIME_DIR");
  struct stat status {};
  if (xdg != nullptr && *xdg == '/' && ::stat(xdg, &status) == 0 && S_ISDIR(status.st_mode) &&
      status.st_uid == ::geteuid()) {
    return std::string(xdg) + "/leat";
  }
  if (::geteuid() == 0 && ::access("/run", W_OK) == 0) return "/run/leat-run";
  return fmt::format("/tmp/leat-{}", ::geteuid());
}

RuntimeFolder::RuntimeFolder(const std::string& root_path, std::string_view name, Kind kind) {
  std::string absolute = std::filesystem::absolute(root_path).lexically_normal().string();
  while (absolute.size() > 1 && absolute.back() == '/') absolute.pop_back();
  Fd root = open_root(absolute, kind != Kind::kDefault);
  // leatd does not wait. Its folder differs from those of others by its name, and it has its own lock on the root.
  if (kind == Kind::kFixed) {
    if (::flock(root.get(), LOCK_EX | LOCK_NB) == 0) remove_stale_in(root.get());
  } else {
    if (::flock(root.get(), LOCK_EX) != 0) refuse(absolute, errno);
    remove_stale_in(root.get());
  }
  std::string own = kind == Kind::kFixed ? std::string(name) : fmt::format("{}-{}", name, ::getpid());
  std::string path = absolute + "/" + own;
  if (kind == Kind::kFixed) clear_fixed(root.get(), own, path);
  if (::mkdirat(root.get(), own.c_str(), 0700) != 0) refuse(path, errno);
  path_ = path;
  lock_ = Fd(::open((path + "/" + std::string(kLock)).c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
  if (!lock_ || ::flock(lock_.get(), LOCK_EX | LOCK_NB) != 0 ||
      ::write(lock_.get(), kMark.data(), kMark.size()) != static_cast<ssize_t>(kMark.size())) {
    int error = errno;
    ::unlink((path + "/" + std::string(kLock)).c_str());
    ::rmdir(path.c_str());
    refuse(path, error);
  }
}

RuntimeFolder::~RuntimeFolder() {
  Fd folder(::open(path_.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (folder) remove_folder(AT_FDCWD, path_, folder.get());
}

}  // namespace leat::supervisor
