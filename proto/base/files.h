// What more than one program does with files, and what a failed call means. Paths are bytes.
#pragma once

#include <string>
#include <string_view>

#include "proto/base/result.h"

namespace leat {

// Will the same call succeed later, by all that is known? A mount or a server that is away, a disk that hiccups, a machine or a
// process that is short of descriptors or memory.
bool is_transient(int error);
// Does the file system not have this call? A network file system that cannot sync a folder does what it is for anyway.
bool lacks_call(int error);
// Does systemd run this? Then what looks like a right or a mount may be the sandbox of the unit.
bool is_unit();

// A failed system call: what could not be done to which path, why, and what helps. kRetry if it is transient, else kFatal.
[[nodiscard]] tl::unexpected<Error> io_failure(std::string_view action, const std::string& path, int error);

// Folder and name: "/a/b.txt" is "/a" and "b.txt"; the folder of "/b" is "/", of "b" it is ".".
std::string folder_of(std::string_view path);
std::string name_of(std::string_view path);
// The folder before the first of the bytes in `special`: "/in/a*/b" with "*?[" is "/in". Without any, the folder of the path.
std::string fixed_folder(std::string_view pattern, std::string_view special);

// Writes all, whatever EINTR, short writes and (on a descriptor that is nonblocking) EAGAIN do. 0, or errno: then any part of it
// may be in the file.
[[nodiscard]] int write_all(int fd, std::string_view bytes);

// Makes the names in a folder durable.
[[nodiscard]] Result<void> sync_folder(const std::string& folder);

// Renames, whatever `to` was before, and makes the new name durable.
[[nodiscard]] Result<void> rename_durably(const std::string& from, const std::string& to);

// Renames without replacing; 0, EEXIST: there is a `to`, and nothing was done; or errno. The second is how it is done where the
// file system lacks RENAME_NOREPLACE.
[[nodiscard]] int rename_no_replace(const std::string& from, const std::string& to);
[[nodiscard]] int link_no_replace(const std::string& from, const std::string& to);

}  // namespace leat
