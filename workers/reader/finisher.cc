#include "workers/reader/finisher.h"

#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <set>

#include "proto/base/files.h"
#include "workers/reader/file.h"

namespace leat::reader {
namespace {

constexpr std::string_view kMove = "move:";

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
  const std::string head = LEAT_TRY(open->bytes(0, row.head_bytes));
  return begins_with(head, {row.head_hash, row.head_bytes}) ? There::kSame : There::kOther;
}

Result<SourceFinished> refused(SourceFinished event, int error, const std::string& what) {
  if (fault_of(error) == Fault::kRetry)
    return tl::unexpected(io_error("move or delete", event.path, 0, error));
  event.reason =
      fmt::format("{} was not {}: {}", event.path, event.action == "move" ? "moved" : "deleted", what);
  event.to.clear();
  return event;
}

// Makes durable what was done. A folder that can never be synced is told of each time: the row is not done.
Result<SourceFinished> durable(SourceFinished event) {
  std::set<std::string> folders{folder_of(event.path)};
  if (!event.to.empty()) folders.insert(folder_of(event.to));
  for (const std::string& folder : folders) {
    const Result<void> synced = sync_folder(folder);
    if (synced) continue;
    if (synced.error().fault == Fault::kRetry) return tl::unexpected(synced.error());
    event.reason = fmt::format("{} was {}, which a power cut may undo: {}", event.path,
                               event.action == "move" ? "moved" : "deleted", synced.error().text);
  }
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
    return durable(std::move(event));
  }
  const int error = moves                             ? rename_no_replace(row.path, event.to)
                    : ::unlink(row.path.c_str()) == 0 ? 0
                                                      : errno;
  if (error != 0) return refused(event, error, why(error, event.to));
  return durable(std::move(event));
}

}  // namespace leat::reader
