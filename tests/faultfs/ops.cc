#include "tests/faultfs/ops.h"

#include <dirent.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <memory>
#include <string>

namespace faultfs {
namespace {

FileSystem& fs() {
  return *static_cast<FileSystem*>(fuse_get_context()->private_data);
}
Handle& handle(fuse_file_info* info) {
  return *reinterpret_cast<Handle*>(info->fh);
}
int root() {
  return fs().root.get();
}
const char* inside(const char* path) {
  return path + 1;
}
const char* below(const char* path) {
  return path[1] ? path + 1 : ".";
}
int result(long long done) {
  return done < 0 ? -errno : static_cast<int>(done);
}

// libfuse's name for a file that was unlinked (or replaced) while open; listings leave it out.
bool is_hidden(std::string_view path) {
  return path.substr(path.rfind('/') + 1).starts_with(".fuse_hidden");
}

bool killed(pid_t task) {
  std::ifstream status(fmt::format("/proc/{}/status", task));
  for (std::string line; std::getline(status, line);)
    if (line.starts_with("SigPnd:") || line.starts_with("ShdPnd:"))
      if (std::stoull(line.substr(7), nullptr, 16) & (1ULL << (SIGKILL - 1))) return true;
  return false;
}

// A hanging operation ends when its caller is killed, as on NFS, and when this file system is to leave. libfuse is not asked:
// from 3.17 on (Debian 13) it passes no interrupts on unless it may send signals to our threads.
int give_up() {
  const fuse_context* context = fuse_get_context();
  if (fuse_session_exited(fuse_get_session(context->fuse))) return EIO;
  return killed(context->pid) ? EINTR : 0;
}

Answer ask(const Question& question) {
  return fs().rules.ask(question, give_up);
}
int refused(const char* op, const char* path, const char* path2 = nullptr) {
  return -ask({.op = op, .path = inside(path), .path2 = path2 ? inside(path2) : nullptr}).error;
}
int refused(const char* op, const Handle& file) {
  return -ask({.op = op, .path = file.path.c_str(), .opened = file.opened}).error;
}

// No power cut comes while it is held. A cut that was set for now makes everything fail from here on.
std::unique_lock<std::mutex> hold(int& error) {
  auto held = fs().lossy.change(error);
  if (error) fs().rules.cut();
  return held;
}

// A change of names: done while no power cut can come in between, then told to the lossy disk.
template <class Do>
int change_names(std::initializer_list<const char*> paths, bool is_new, Do&& change) {
  int error = 0;
  const auto alone = hold(error);
  if (error) return -error;
  const int done = result(change());
  if (done >= 0) fs().lossy.named(paths, is_new);
  return done;
}

// A change of a file's content or size. `told` tells the lossy disk what was done.
template <class Do, class Tell>
int change_content(ino_t inode, Do&& change, Tell&& tell) {
  int error = 0;
  const auto alone = hold(error);
  if (error) return -error;
  fs().lossy.touch(inode);
  const int done = result(change());
  if (done >= 0) tell(done);
  return done;
}

void* init(fuse_conn_info* connection, fuse_config* config) {
  connection->want &= ~static_cast<unsigned>(FUSE_CAP_ATOMIC_O_TRUNC | FUSE_CAP_AUTO_INVAL_DATA |
                                             FUSE_CAP_READDIRPLUS | FUSE_CAP_WRITEBACK_CACHE);
  config->entry_timeout = config->attr_timeout = config->negative_timeout = 0;
  config->nullpath_ok = 1;  // an operation on an open file holds no lock on its path while it hangs
  config->use_ino = 1;
  return fuse_get_context()->private_data;
}

int op_getattr(const char* path, struct stat* stat, fuse_file_info* info) {
  if (info) {
    const Handle& file = handle(info);
    if (int error = refused("getattr", file)) return error;
    fs().rules.used(file.path.c_str(), &Use::getattrs);
    if (fstat(file.fd.get(), stat) != 0) return -errno;
  } else {
    if (int error = refused("getattr", path)) return error;
    fs().rules.used(inside(path), &Use::getattrs);
    if (fstatat(root(), below(path), stat, AT_SYMLINK_NOFOLLOW) != 0) return -errno;
  }
  fs().lossy.fix(*stat);
  return 0;
}

int op_readlink(const char* path, char* buffer, size_t size) {
  if (int error = refused("readlink", path)) return error;
  const ssize_t length = readlinkat(root(), below(path), buffer, size - 1);
  if (length < 0) return -errno;
  buffer[length] = 0;
  return 0;
}

int op_mknod(const char* path, mode_t mode, dev_t device) {
  if (int error = refused("mknod", path)) return error;
  return change_names({inside(path)}, true, [&] { return mknodat(root(), below(path), mode, device); });
}

int op_mkdir(const char* path, mode_t mode) {
  if (int error = refused("mkdir", path)) return error;
  return change_names({inside(path)}, true, [&] { return mkdirat(root(), below(path), mode); });
}

int op_unlink(const char* path) {
  if (!is_hidden(path))
    if (int error = refused("unlink", path)) return error;
  return change_names({inside(path)}, false, [&] { return unlinkat(root(), below(path), 0); });
}

int op_rmdir(const char* path) {
  if (int error = refused("rmdir", path)) return error;
  return change_names({inside(path)}, false, [&] { return unlinkat(root(), below(path), AT_REMOVEDIR); });
}

int op_symlink(const char* target, const char* path) {
  if (int error = refused("symlink", path)) return error;
  return change_names({inside(path)}, true, [&] { return symlinkat(target, root(), below(path)); });
}

int op_rename(const char* from, const char* to, unsigned flags) {
  if (int error = is_hidden(to) ? refused("unlink", from) : refused("rename", from, to)) return error;
  return change_names({inside(from), inside(to)}, false,
                      [&] { return renameat2(root(), below(from), root(), below(to), flags); });
}

int op_link(const char* from, const char* to) {
  if (int error = refused("link", from, to)) return error;
  return change_names({inside(to)}, false, [&] { return linkat(root(), below(from), root(), below(to), 0); });
}

int op_chmod(const char* path, mode_t mode, fuse_file_info* info) {
  if (info) {
    if (int error = refused("chmod", handle(info))) return error;
    return result(fchmod(handle(info).fd.get(), mode));
  }
  if (int error = refused("chmod", path)) return error;
  return result(fchmodat(root(), below(path), mode, 0));
}

int op_chown(const char* path, uid_t user, gid_t group, fuse_file_info* info) {
  if (info) {
    if (int error = refused("chown", handle(info))) return error;
    return result(fchown(handle(info).fd.get(), user, group));
  }
  if (int error = refused("chown", path)) return error;
  return result(fchownat(root(), below(path), user, group, AT_SYMLINK_NOFOLLOW));
}

int op_truncate(const char* path, off_t size, fuse_file_info* info) {
  leat::Fd opened;
  if (!info) {
    opened = leat::Fd(openat(root(), below(path), O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK));
    if (!opened) return -errno;
  }
  const int fd = info ? handle(info).fd.get() : opened.get();
  struct stat stat {};
  if (fstat(fd, &stat) != 0) return -errno;
  const std::size_t growth = static_cast<std::size_t>(std::max<off_t>(0, size - stat.st_size));
  const Answer answer = info ? ask({.op = "truncate",
                                    .path = handle(info).path.c_str(),
                                    .opened = handle(info).opened,
                                    .growth = growth})
                             : ask({.op = "truncate", .path = inside(path), .growth = growth});
  if (answer.error) return -answer.error;
  return change_content(
      stat.st_ino, [&] { return ftruncate(fd, size); }, [&](int) { fs().lossy.sized(stat.st_ino, size); });
}

// Takes over `fd`, or says why there is none.
int opened(const char* path, int fd, fuse_file_info* info) {
  if (fd < 0) return -errno;
  struct stat stat {};
  leat::Fd owned(fd);
  if (fstat(fd, &stat) != 0) return -errno;
  const std::string_view name = inside(path);
  const std::uint64_t number = fs().rules.opened();
  std::lock_guard lock(fs().handles_mutex);
  Handle& file =
      fs().handles[number] = {std::move(owned), std::string(name), number, stat.st_ino, info->flags};
  info->fh = reinterpret_cast<std::uint64_t>(&file);
  info->direct_io = !name.ends_with("-shm");
  info->keep_cache = 0;
  return 0;
}

// The kernel knows where a file ends as long as all changes come through it; another client's it cannot know, and for
// those O_APPEND is left to the file system below.
int open_flags(const fuse_file_info* info) {
  int flags = (info->flags | O_CLOEXEC) & ~(O_DIRECT | O_TRUNC | O_NOFOLLOW);
  if (fs().lossy.on()) flags &= ~O_APPEND;
  // A write to a page of a mapped file begins with reading the page.
  if ((flags & O_ACCMODE) == O_WRONLY) flags = (flags & ~O_ACCMODE) | O_RDWR;
  return flags;
}

int op_open(const char* path, fuse_file_info* info) {
  if (int error = refused("open", path)) return error;
  fs().rules.used(inside(path), &Use::opens);
  int fd = openat(root(), below(path), open_flags(info));
  if (fd < 0 && errno == EACCES) fd = openat(root(), below(path), (info->flags & ~O_TRUNC) | O_CLOEXEC);
  return opened(path, fd, info);
}

int op_create(const char* path, mode_t mode, fuse_file_info* info) {
  if (int error = refused("create", path)) return error;
  fs().rules.used(inside(path), &Use::opens);
  const bool is_new = faccessat(root(), below(path), F_OK, AT_SYMLINK_NOFOLLOW) != 0;
  int fd = -1;
  const int done = change_names({inside(path)}, is_new, [&] {
    return fd = openat(root(), below(path), open_flags(info) | O_CREAT, mode);
  });
  return done < 0 ? done : opened(path, fd, info);
}

int op_read(const char*, char* buffer, size_t size, off_t offset, fuse_file_info* info) {
  Handle& file = handle(info);
  const Answer answer =
      ask({.op = "read", .path = file.path.c_str(), .opened = file.opened, .offset = offset, .size = size});
  if (answer.error) return -answer.error;
  const int done = result(pread(file.fd.get(), buffer, answer.size, offset));
  if (done <= 0) return done;
  fs().rules.used(file.path.c_str(), &Use::read, static_cast<std::uint64_t>(done));
  struct stat stat {};
  if (answer.nuls > 0 && fstat(file.fd.get(), &stat) == 0) {
    const off_t from = std::max<off_t>(0, stat.st_size - answer.nuls - offset);
    if (from < done) memset(buffer + from, 0, static_cast<std::size_t>(done - from));
  }
  return done;
}

int op_write(const char*, const char* data, size_t size, off_t offset, fuse_file_info* info) {
  Handle& file = handle(info);
  struct stat stat {};
  if (fstat(file.fd.get(), &stat) != 0) return -errno;
  if (!fs().lossy.on() && file.flags & O_APPEND) offset = stat.st_size;
  const auto growth =
      std::clamp<off_t>(offset + static_cast<off_t>(size) - stat.st_size, 0, static_cast<off_t>(size));
  const Answer answer = ask({.op = "write",
                             .path = file.path.c_str(),
                             .opened = file.opened,
                             .offset = offset,
                             .size = size,
                             .growth = static_cast<std::size_t>(growth)});
  if (answer.error) return -answer.error;
  const int done = change_content(
      file.inode, [&] { return pwrite(file.fd.get(), data, answer.size, offset); },
      [&](int written) {
        if (!file.path.ends_with("-shm"))  // SQLite builds it anew from the log
          fs().lossy.wrote(file.inode, offset, data, static_cast<std::size_t>(written));
        if (file.flags & O_DSYNC) fs().lossy.synced(file.inode);
      });
  if (done > 0) fs().rules.used(file.path.c_str(), &Use::written, static_cast<std::uint64_t>(done));
  return done;
}

int op_statfs(const char* path, struct statvfs* stat) {
  if (int error = refused("statfs", path)) return error;
  if (fstatvfs(root(), stat) != 0) return -errno;
  const std::int64_t room = fs().rules.room();
  if (room >= 0) stat->f_bfree = stat->f_bavail = static_cast<fsblkcnt_t>(room) / stat->f_frsize;
  return 0;
}

int op_flush(const char*, fuse_file_info* info) {
  return refused("flush", handle(info));
}

int op_release(const char*, fuse_file_info* info) {
  std::lock_guard lock(fs().handles_mutex);
  fs().handles.erase(handle(info).opened);
  return 0;
}

int op_fsync(const char*, int data_only, fuse_file_info* info) {
  const Handle& file = handle(info);
  if (int error = refused("fsync", file)) return error;
  fs().rules.used(file.path.c_str(), &Use::fsyncs);
  if (!fs().lossy.on()) return result(data_only ? fdatasync(file.fd.get()) : fsync(file.fd.get()));
  int error = 0;
  const auto alone = hold(error);
  if (!error) fs().lossy.synced(file.inode);
  return -error;
}

int op_fsyncdir(const char*, int, fuse_file_info* info) {
  const Handle& folder = handle(info);
  if (int error = refused("fsyncdir", folder)) return error;
  fs().rules.used(folder.path.c_str(), &Use::fsyncs);
  if (!fs().lossy.on()) return result(fsync(folder.fd.get()));
  int error = 0;
  const auto alone = hold(error);
  if (!error) fs().lossy.synced_names(folder.inode);
  return -error;
}

int op_opendir(const char* path, fuse_file_info* info) {
  if (int error = refused("opendir", path)) return error;
  return opened(path, openat(root(), below(path), O_RDONLY | O_DIRECTORY | O_CLOEXEC), info);
}

// All of it at once: libfuse keeps the listing until it is read to its end or from its beginning again.
int op_readdir(const char*, void* buffer, fuse_fill_dir_t fill, off_t, fuse_file_info* info,
               fuse_readdir_flags) {
  const Handle& folder = handle(info);
  const Answer answer = ask({.op = "readdir", .path = folder.path.c_str(), .opened = folder.opened});
  if (answer.error) return -answer.error;
  fs().rules.used(folder.path.c_str(), &Use::listings);
  std::unique_ptr<DIR, int (*)(DIR*)> list(
      fdopendir(openat(folder.fd.get(), ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC)), closedir);
  if (!list) return -errno;
  while (const dirent* entry = readdir(list.get())) {
    const std::string_view name = entry->d_name;
    if (is_hidden(name)) continue;
    if (answer.empty && name != "." && name != "..") continue;
    struct stat stat {};
    stat.st_ino = entry->d_ino;
    stat.st_mode = static_cast<mode_t>(DTTOIF(entry->d_type));
    if (fill(buffer, entry->d_name, &stat, 0, fuse_fill_dir_flags{}) != 0) break;
  }
  return 0;
}

int op_access(const char* path, int mode) {
  if (int error = refused("access", path)) return error;
  return result(faccessat(root(), below(path), mode, 0));
}

int op_utimens(const char* path, const timespec times[2], fuse_file_info* info) {
  if (info) {
    if (int error = refused("utimens", handle(info))) return error;
    return result(futimens(handle(info).fd.get(), times));
  }
  if (int error = refused("utimens", path)) return error;
  return result(utimensat(root(), below(path), times, AT_SYMLINK_NOFOLLOW));
}

int op_fallocate(const char*, int mode, off_t offset, off_t length, fuse_file_info* info) {
  const Handle& file = handle(info);
  if (fs().lossy.on() && mode != 0) return -EOPNOTSUPP;
  struct stat stat {};
  if (fstat(file.fd.get(), &stat) != 0) return -errno;
  const off_t end = std::max(offset + length, stat.st_size);
  const Answer answer = ask({.op = "fallocate",
                             .path = file.path.c_str(),
                             .opened = file.opened,
                             .growth = mode == 0 ? static_cast<std::size_t>(end - stat.st_size) : 0});
  if (answer.error) return -answer.error;
  return change_content(
      file.inode, [&] { return fallocate(file.fd.get(), mode, offset, length); },
      [&](int) { fs().lossy.sized(file.inode, end); });
}

off_t op_lseek(const char*, off_t offset, int whence, fuse_file_info* info) {
  const Handle& file = handle(info);
  if (int error = refused("lseek", file)) return error;
  const off_t found = lseek(file.fd.get(), offset, whence);
  return found < 0 ? -errno : found;
}

}  // namespace

fuse_operations operations() {
  fuse_operations all{};
  all.init = init;
  all.getattr = op_getattr;
  all.readlink = op_readlink;
  all.mknod = op_mknod;
  all.mkdir = op_mkdir;
  all.unlink = op_unlink;
  all.rmdir = op_rmdir;
  all.symlink = op_symlink;
  all.rename = op_rename;
  all.link = op_link;
  all.chmod = op_chmod;
  all.chown = op_chown;
  all.truncate = op_truncate;
  all.open = op_open;
  all.create = op_create;
  all.read = op_read;
  all.write = op_write;
  all.statfs = op_statfs;
  all.flush = op_flush;
  all.release = op_release;
  all.fsync = op_fsync;
  all.fsyncdir = op_fsyncdir;
  all.opendir = op_opendir;
  all.releasedir = op_release;
  all.readdir = op_readdir;
  all.access = op_access;
  all.utimens = op_utimens;
  all.fallocate = op_fallocate;
  all.lseek = op_lseek;
  return all;
}

}  // namespace faultfs
