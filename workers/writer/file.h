// What the writer asks of a filesystem, with errors that say what to do. Every path is absolute, in bytes.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <string_view>

#include "proto/base/files.h"
#include "proto/base/result.h"

namespace leat::writer {

// The base's, with what helps a writer.
[[nodiscard]] tl::unexpected<Error> io_failure(std::string_view action, const std::string& path, int error);

// After a failure any part of the bytes may be in the file.
[[nodiscard]] Result<void> write_all(int fd, std::string_view bytes, const std::string& path);

[[nodiscard]] Result<void> sync_data(int fd, const std::string& path);

// sync_folder for each of them, which leave the set as they are done.
[[nodiscard]] Result<void> sync_folders(std::set<std::string>& folders);

// Something other than a file: a FIFO, a device, a folder; or stdout, whatever it is.
bool is_special(const std::string& path);

struct FileInfo {
  dev_t device = 0;
  ino_t inode = 0;
  std::uint64_t size = 0;
  bool regular = false;
  bool same_file(const FileInfo& other) const { return device == other.device && inode == other.inode; }
};
// What has this name (a link itself, not what it leads to); nullopt: nothing. And what is open here.
[[nodiscard]] Result<std::optional<FileInfo>> stat_file(const std::string& path);
[[nodiscard]] Result<FileInfo> stat_file(int fd, const std::string& path);

// Can names be put into this folder by nobody but root and this user?
bool is_private(const std::string& folder);

// kFatal (78) if a stranger may have put there what is open here under `path`: its folder is not private, and it is
// neither this user's nor root's nor the folder owner's, or it is a file that has another name as well. What a network
// file system says of owners is not asked.
[[nodiscard]] Result<void> check_owner(int fd, const std::string& path);

// Cuts a file that is longer to `length` bytes.
[[nodiscard]] Result<void> cut(int fd, std::uint64_t length, const std::string& path);

// Creates the folders of `folder` below `fixed`, which is a prefix of it and exists; each new name is
// made durable.
[[nodiscard]] Result<void> make_folders(const std::string& fixed, const std::string& folder);

// kFatal (78) unless `folder` is a folder that this process may create files in.
[[nodiscard]] Result<void> check_folder(const std::string& folder);

// kRetry unless something is mounted at `folder`.
[[nodiscard]] Result<void> check_mount(const std::string& folder);

// Takes the lock that lasts as long as the descriptor is open. False: another process has it. A
// filesystem without locks counts as taken by us if `alone` says that nobody else can know the file yet.
[[nodiscard]] Result<bool> lock(int fd, const std::string& path, bool alone);

// The process that has the lock: "pid 7 (flock)", or what is known of it.
std::string lock_holder(const FileInfo& info);

}  // namespace leat::writer
