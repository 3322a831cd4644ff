// What Ledger and View share: one connection. For ledger.cc and view.cc only.
#pragma once

#include <memory>
#include <string>

#include "workers/ledger/ledger.h"
#include "workers/ledger/sqlite.h"

namespace leat::ledger {

inline std::string file_in(const std::string& folder) {
  return folder + "/ledger.db";
}

// Of pages that SQLite keeps: the writer has to stay small, and what it touches again and again is a dozen pages.
inline constexpr int kCacheKib = 1024;

struct View::Reader {
  sqlite::Connection db;
};

}  // namespace leat::ledger
