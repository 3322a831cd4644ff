// The tables of the ledger, and how older ones become newer ones.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include "proto/base/result.h"
#include "workers/ledger/sqlite.h"

namespace leat::ledger {

inline constexpr std::int64_t kApplicationId = 0x4C454154;  // "LEAT": what `file` and others know it by

// Step i makes version i + 1 of version i; version 0 is an empty file. Steps are only ever added.
std::span<const char* const> migrations();

// Brings the file to the version after the last step: all steps or none, durably. kFatal, 78: a later version, or no
// ledger. `file` is for the text.
[[nodiscard]] Result<void> migrate(sqlite::Connection& db, std::span<const char* const> steps,
                                   const std::string& file);

// kFatal, 74: a row, the schema or (if thorough) any page or index is not what was written. Of the newest version.
[[nodiscard]] Result<void> verify(sqlite::Connection& db, bool thorough);

// The file's version. kFatal as above; writes nothing.
[[nodiscard]] Result<std::size_t> version_of(sqlite::Connection& db, std::size_t newest,
                                             const std::string& file);

}  // namespace leat::ledger
