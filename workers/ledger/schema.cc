// Names and states are text, because people read this with `sqlite3`. Paths are TEXT as well, although their bytes may be no
// UTF-8: SQLite stores and compares bytes. 64-bit hashes are stored as signed integers. Times are Unix seconds.
#include "workers/ledger/schema.h"

#include <fmt/format.h>

#include <array>

#include "workers/ledger/rows.h"

namespace leat::ledger {

namespace {

// AUTOINCREMENT: an id is never used again, whatever is deleted. The partial indexes hold only the few rows that a start has
// to check; queries must repeat their conditions word for word, and name them (INDEXED BY).
constexpr const char* kVersion1 = R"(
CREATE TABLE ledger (
  only_row INTEGER PRIMARY KEY CHECK (only_row = 1),
  pipeline TEXT NOT NULL,
  epoch INTEGER NOT NULL,
  fingerprint INTEGER,
  created_s INTEGER NOT NULL
) STRICT;
INSERT INTO ledger VALUES (1, '', 0, NULL, unixepoch());

CREATE TABLE sources (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  path TEXT NOT NULL,
  size INTEGER NOT NULL,
  mtime_ns INTEGER NOT NULL,
  state TEXT NOT NULL CHECK (state IN ('reading', 'done', 'changed', 'failed')),
  reason TEXT NOT NULL,
  retry INTEGER NOT NULL,
  lines INTEGER NOT NULL,
  offset INTEGER NOT NULL,
  frame_offset INTEGER NOT NULL,
  frame_raw_offset INTEGER NOT NULL,
  tail_hash INTEGER NOT NULL,
  tail_bytes INTEGER NOT NULL,
  unterminated INTEGER NOT NULL,
  head_hash INTEGER NOT NULL,
  head_bytes INTEGER NOT NULL,
  records_in INTEGER NOT NULL,
  kept INTEGER NOT NULL,
  dropped INTEGER NOT NULL,
  dead INTEGER NOT NULL,
  dead_by_reference INTEGER NOT NULL,
  records_out INTEGER NOT NULL,
  bytes_out INTEGER NOT NULL,
  after_action TEXT NOT NULL,
  after_done INTEGER NOT NULL,
  run TEXT NOT NULL,
  updated_s INTEGER NOT NULL
) STRICT;
CREATE UNIQUE INDEX sources_path ON sources(path);
CREATE INDEX sources_identity ON sources(size, mtime_ns);
CREATE INDEX sources_open ON sources(id) WHERE state <> 'done' OR (after_action <> '' AND after_done = 0);

CREATE TABLE outputs (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  target TEXT NOT NULL,
  temporary TEXT NOT NULL,
  source INTEGER NOT NULL,
  n INTEGER NOT NULL,
  state TEXT NOT NULL CHECK (state IN ('writing', 'complete', 'published')),
  length INTEGER NOT NULL,
  record_bytes INTEGER NOT NULL,
  run TEXT NOT NULL,
  updated_s INTEGER NOT NULL
) STRICT;
CREATE INDEX outputs_target ON outputs(target);
CREATE INDEX outputs_unfinished ON outputs(id) WHERE state <> 'published';
CREATE INDEX outputs_source ON outputs(source, n);
CREATE INDEX outputs_run ON outputs(run);

CREATE TABLE dead_letters (
  only_row INTEGER PRIMARY KEY CHECK (only_row = 1),
  path TEXT NOT NULL,
  length INTEGER NOT NULL,
  letters INTEGER NOT NULL
) STRICT;

CREATE TABLE runs (
  number INTEGER PRIMARY KEY AUTOINCREMENT,
  id TEXT NOT NULL UNIQUE,
  started_s INTEGER NOT NULL,
  ended_s INTEGER NOT NULL DEFAULT 0,
  epoch INTEGER NOT NULL,
  records_in INTEGER NOT NULL DEFAULT 0,
  kept INTEGER NOT NULL DEFAULT 0,
  dropped INTEGER NOT NULL DEFAULT 0,
  dead INTEGER NOT NULL DEFAULT 0,
  dead_by_reference INTEGER NOT NULL DEFAULT 0,
  records_out INTEGER NOT NULL DEFAULT 0,
  bytes_out INTEGER NOT NULL DEFAULT 0,
  sources_done INTEGER NOT NULL DEFAULT 0,
  sources_failed INTEGER NOT NULL DEFAULT 0,
  sources_changed INTEGER NOT NULL DEFAULT 0
) STRICT;
)";

// A presence scan: the known sources are searched for. looks counts them, believed_looks those in which nothing said that a mount might
// be unavailable; looked_s is when the last one was, or when this table was made: a look has a day to wait from then on.
// absent_since: of a source that is not there, how many scans there had been before the first that missed it: believed
// ones, or all if we have moved or deleted it. Writing a row ends its absence.
constexpr const char* kVersion2 = R"(
ALTER TABLE ledger ADD COLUMN looks INTEGER NOT NULL DEFAULT 0;
ALTER TABLE ledger ADD COLUMN believed_looks INTEGER NOT NULL DEFAULT 0;
ALTER TABLE ledger ADD COLUMN looked_s INTEGER NOT NULL DEFAULT 0;
UPDATE ledger SET looked_s = unixepoch();
ALTER TABLE sources ADD COLUMN absent_since INTEGER;
CREATE INDEX sources_absent ON sources(id) WHERE absent_since IS NOT NULL;
)";

// held_by: source.after waits for the outputs up to this id. row_sum: see rows.h. version: user_version once more, and
// schema_sum the sum of all that creates tables and indexes, so that damage to them is not taken for another version.
// file: whose ledger it is.
constexpr const char* kVersion3 = R"(
ALTER TABLE sources ADD COLUMN held_by INTEGER NOT NULL DEFAULT 0;
UPDATE sources SET held_by = (SELECT ifnull(max(id), 0) FROM outputs)
  WHERE state = 'done' AND after_action <> '' AND after_done = 0;
ALTER TABLE ledger ADD COLUMN file TEXT NOT NULL DEFAULT '';
ALTER TABLE ledger ADD COLUMN version INTEGER NOT NULL DEFAULT 0;
ALTER TABLE ledger ADD COLUMN schema_sum INTEGER NOT NULL DEFAULT 0;
ALTER TABLE ledger ADD COLUMN row_sum INTEGER NOT NULL DEFAULT 0;
ALTER TABLE sources ADD COLUMN row_sum INTEGER NOT NULL DEFAULT 0;
ALTER TABLE outputs ADD COLUMN row_sum INTEGER NOT NULL DEFAULT 0;
ALTER TABLE dead_letters ADD COLUMN row_sum INTEGER NOT NULL DEFAULT 0;
ALTER TABLE runs ADD COLUMN row_sum INTEGER NOT NULL DEFAULT 0;
)"
                                  "UPDATE sources SET row_sum = " LEAT_SOURCE_SUM
                                  ";"
                                  "UPDATE outputs SET row_sum = " LEAT_OUTPUT_SUM
                                  ";"
                                  "UPDATE dead_letters SET row_sum = " LEAT_DEAD_LETTER_SUM
                                  ";"
                                  "UPDATE runs SET row_sum = " LEAT_RUN_SUM ";";
constexpr std::size_t kSealedSince = 3;

constexpr std::array kSteps{kVersion1, kVersion2, kVersion3};

constexpr const char* kSchemaSum =
    "(SELECT leat_sum(group_concat(s, char(10))) FROM (SELECT type || ' ' || name || ' ' || tbl_name || ' ' "
    "|| "
    "ifnull(sql, '') AS s FROM sqlite_schema WHERE name NOT LIKE 'sqlite_%' ORDER BY name))";

// The version as the ledger's own row has it; 0: none, as before there was one.
std::int64_t sealed_version(sqlite::Connection& db) {
  return db.ask("SELECT version FROM ledger").value_or(0);
}

}  // namespace

Result<std::size_t> version_of(sqlite::Connection& db, std::size_t newest, const std::string& file) {
  auto owner = LEAT_TRY(db.ask("PRAGMA application_id"));
  auto tables = LEAT_TRY(db.ask("SELECT count(*) FROM sqlite_schema"));
  auto version = LEAT_TRY(db.ask("PRAGMA user_version"));
  // One of them is not what was written: the file is damaged, and no later version's.
  std::int64_t sealed = tables == 0 ? 0 : sealed_version(db);
  if (sealed != 0 && (sealed != version || owner != kApplicationId)) {
    return tl::unexpected(db.damaged("its first page has another version than its rows"));
  }
  if (owner != kApplicationId && (owner != 0 || tables != 0 || version != 0)) {
    return fail(Fault::kFatal,
                fmt::format("{} is a database of another program; choose another folder with --state", file),
                kExitConfig);
  }
  if (version < 0 || version > static_cast<std::int64_t>(newest)) {
    return fail(
        Fault::kFatal,
        fmt::format(
            "the ledger {} is of version {}, made by a later leat; this one knows version {}: use the "
            "later leat, or another folder with --state",
            file, version, newest),
        kExitConfig);
  }
  return static_cast<std::size_t>(version);
}

std::span<const char* const> migrations() {
  return kSteps;
}

Result<void> migrate(sqlite::Connection& db, std::span<const char* const> steps, const std::string& file) {
  auto transaction = LEAT_TRY(sqlite::Transaction::begin(db, sqlite::Transaction::Kind::kWrite));
  auto done = LEAT_TRY(version_of(db, steps.size(), file));
  if (done == steps.size()) return {};
  for (const char* step : steps.subspan(done)) {
    if (auto taken = db.run(step); !taken) return taken;
  }
  auto marked =
      db.run(fmt::format("PRAGMA application_id={}; PRAGMA user_version={}", kApplicationId, steps.size()));
  if (marked && steps.size() >= kSealedSince) {
    marked = db.run(fmt::format("UPDATE ledger SET version = {}, schema_sum = {}", steps.size(), kSchemaSum));
    if (marked) marked = db.run("UPDATE ledger SET row_sum = " LEAT_LEDGER_SUM);
  }
  if (!marked) return marked;
  return transaction.commit();
}

Result<void> verify(sqlite::Connection& db, bool thorough) {
  auto known = LEAT_TRY(db.ask(fmt::format(
      "SELECT count(*) FROM ledger WHERE row_sum IS " LEAT_LEDGER_SUM " AND schema_sum IS {}", kSchemaSum)));
  if (known != 1) return tl::unexpected(db.damaged("what it says of itself is not what was written"));
  if (thorough) {
    auto check = db.query("PRAGMA integrity_check(1)");
    auto row = LEAT_TRY(check.next());
    if (!row || check.text(0) != "ok") return tl::unexpected(db.damaged(row ? check.text(0) : "no answer"));
  }
  for (const auto& [table, rows] :
       {std::pair{"source",
                  "SELECT id FROM sources NOT INDEXED WHERE row_sum IS NOT " LEAT_SOURCE_SUM " LIMIT 1"},
        std::pair{"output",
                  "SELECT id FROM outputs NOT INDEXED WHERE row_sum IS NOT " LEAT_OUTPUT_SUM " LIMIT 1"},
        std::pair{"dead-letter file",
                  "SELECT only_row FROM dead_letters WHERE row_sum IS NOT " LEAT_DEAD_LETTER_SUM " LIMIT 1"},
        std::pair{"run", "SELECT number FROM runs WHERE row_sum IS NOT " LEAT_RUN_SUM " LIMIT 1"}}) {
    auto wrong = db.query(rows);
    auto found = LEAT_TRY(wrong.next());
    if (found) {
      return tl::unexpected(
          db.damaged(fmt::format("the row of {} {} is not what was written", table, wrong.number(0))));
    }
  }
  return {};
}

}  // namespace leat::ledger
