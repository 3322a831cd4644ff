// rename(2) replaces its target without asking, and a look before it leaves a moment for somebody else's file. So
// RENAME_NOREPLACE; where the file system does not have it (NFS), link(2), which never replaces, and unlink(2). Where
// there are no links either, a look and rename(2) is all there is.
#include "workers/reader/finisher.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <optional>

#include "workers/reader/file.h"
#include "workers/stage/fd.h"

namespace leat::reader {
namespace {

constexpr std::string_view kMove = "move:";

std::string folder_of(const std::string& path) {
  const std::size_t slash = path.rfind('/');
  return slash == 0 ? "/" : path.substr(0, slash);
}

// 0, or errno.
int sync_folder(const std::string& folder) {
  const stage::Fd fd(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!fd) return errno;
  // Some network file systems have no such thing, and do what it is for anyway.
  return ::fsync(fd.get()) == 0 || errno == EINVAL || errno == ENOSYS || errno == EOPNOTSUPP ? 0 : errno;
}

int move_without_replacing(const std::string& from, const std::string& to) {
  if (::renameat2(AT_FDCWD, from.c_str(), AT_FDCWD, to.c_str(), RENAME_NOREPLACE) == 0) return 0;
  if (errno != EINVAL && errno != ENOSYS && errno != EOPNOTSUPP) return errno;
  if (::link(from.c_str(), to.c_str()) == 0) return ::unlink(from.c_str()) == 0 ? 0 : errno;
  if (errno != EPERM && errno != ENOSYS && errno != EOPNOTSUPP && errno != EMLINK) return errno;
  struct stat found;
  if (::lstat(to.c_str(), &found) == 0) return EEXIST;
  return ::rename(from.c_str(), to.c_str()) == 0 ? 0 : errno;
}

enum class There { kSame, kOther, kNothing };

// Is the content of the row at this path?
Result<There> check_path(const std::string& path, const ledger::Source& row) {
  const Result<InputFile> open = InputFile::open(path);
  if (!open) {
    struct stat found;
    if (::lstat(path.c_str(), &found) != 0 && (errno == ENOENT || errno == ENOTDIR)) return There::kNothing;
    return tl::unexpected(open.error());
  }
  if (open->file().size != row.size || open->file().mtime_ns != row.mtime_ns) return There::kOther;
  const Result<std::string> head = open->bytes(0, row.head_bytes);
  if (!head) return tl::unexpected(head.error());
  return begins_with(*head, {row.head_hash, row.head_bytes}) ? There::kSame : There::kOther;
}

Result<SourceFinished> refused(SourceFinished event, int error, const std::string& what) {
  if (fault_of(error) == Fault::kRetry)
    return tl::unexpected(io_error("move or delete", event.path, 0, error));
  event.reason =
      fmt::format("{} was not {}: {}", event.path, event.action == "move" ? "moved" : "deleted", what);
  event.to.clear();
  return event;
}

std::string why(int error, const std::string& to) {
  if (error == EEXIST) return fmt::format("{} exists already; move one of them away", to);
  if (error == EXDEV)
    return fmt::format("{} is on another file system; name a folder on this one", folder_of(to));
  if (error == ENOENT || error == ENOTDIR)
    return fmt::format("there is no folder {}; make it", folder_of(to));
  return ::strerror(error);
}

}  // namespace

Result<SourceFinished> finish_source(const ledger::Source& row) {
  const bool moves = row.after.starts_with(kMove);
  SourceFinished event{row.id, row.path, moves ? "move" : "delete", "", ""};
  const std::string folder = folder_of(row.path);
  if (moves) event.to = row.after.substr(kMove.size()) + row.path.substr(row.path.rfind('/'));
  Result<There> there = check_path(row.path, row);
  if (!there && there.error().fault == Fault::kRetry) return tl::unexpected(there.error());
  if (!there) return refused(event, EACCES, there.error().text);
  if (*there == There::kOther) return refused(event, EACCES, "it has changed since it was read");
  if (*there == There::kNothing) {
    struct stat found;
    if (::stat(folder.c_str(), &found) != 0) return refused(event, errno, "its folder is not there");
    const Result<There> moved = moves ? check_path(event.to, row) : Result<There>(There::kNothing);
    if (!moved && moved.error().fault == Fault::kRetry) return tl::unexpected(moved.error());
    if (!moved || *moved != There::kSame) event.to.clear();  // somebody else has taken it away
    return event;
  }
  const int error = moves                             ? move_without_replacing(row.path, event.to)
                    : ::unlink(row.path.c_str()) == 0 ? 0
                                                      : errno;
  if (error != 0) return refused(event, error, why(error, event.to));
  for (const std::string& changed : {folder, moves ? folder_of(event.to) : folder}) {
    if (const int unsynced = sync_folder(changed); fault_of(unsynced) == Fault::kRetry && unsynced != 0) {
      return tl::unexpected(io_error("sync the folder of", row.path, 0, unsynced));
    }
  }
  return event;
}

}  // namespace leat::reader
