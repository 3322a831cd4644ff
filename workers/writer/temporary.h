// The file that an output grows in, beside its target: `.NAME.leat-tmp`, locked as long as a process writes it.
// (leat itself ignores names that begin with '.'.)
#pragma once

#include <string>
#include <string_view>

#include "proto/base/fd.h"
#include "proto/base/result.h"
#include "workers/writer/file.h"

namespace leat::writer {

// The temporary name of a target.
std::string temporary_of(std::string_view target);

struct Temporary {
  Fd fd;
  FileInfo info;
};

// A new one, empty, opened for writing and locked. One that no process has locked, and that the caller's ledger does not
// name, was left by a run that was killed: it holds nothing that counts and is removed. kFatal, 78: another leat
// is at it.
[[nodiscard]] Result<Temporary> create_temporary(const std::string& target);

// One that the ledger names, opened for writing and locked; no fd: there is none. kRetry: another process has it locked.
[[nodiscard]] Result<Temporary> open_temporary(const std::string& path);

// Removes one that the ledger does not name any more. One that is missing counts as removed.
[[nodiscard]] Result<void> remove_temporary(const std::string& path);

}  // namespace leat::writer
