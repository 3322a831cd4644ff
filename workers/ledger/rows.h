// Rows of the ledger to structs and back: the one place that knows the order of columns and the names of states.
#pragma once

#include "proto/base/result.h"
#include "workers/ledger/ledger.h"
#include "workers/ledger/sqlite.h"

// Macros, as they are parts of string literals.
#define LEAT_COUNT_COLUMNS "records_in, kept, dropped, dead, dead_by_reference, records_out, bytes_out"
#define LEAT_SOURCE_COLUMNS                                                                             \
  "id, path, size, mtime_ns, state, reason, lines, offset, frame_offset, frame_raw_offset, tail_hash, " \
  "tail_bytes, unterminated, head_hash, head_bytes, after_action, after_done, run, "                    \
  "updated_s, retry, held_by, " LEAT_COUNT_COLUMNS
#define LEAT_OUTPUT_COLUMNS "id, target, temporary, source, n, state, length, record_bytes, run, updated_s"
#define LEAT_RUN_COLUMNS \
  "id, started_s, ended_s, epoch, sources_done, sources_failed, sources_changed, " LEAT_COUNT_COLUMNS
#define LEAT_DEAD_LETTER_COLUMNS "path, length, letters"

// Every row carries row_sum, the sum of all its columns: whatever changes a row seals it again in the same transaction,
// and whoever reads one selects IS_GOOD behind its columns and passes the row to good().
#define LEAT_SOURCE_SUM "leat_sum(" LEAT_SOURCE_COLUMNS ", absent_since)"
#define LEAT_OUTPUT_SUM "leat_sum(" LEAT_OUTPUT_COLUMNS ")"
#define LEAT_RUN_SUM "leat_sum(" LEAT_RUN_COLUMNS ")"
#define LEAT_DEAD_LETTER_SUM "leat_sum(" LEAT_DEAD_LETTER_COLUMNS ")"
#define LEAT_LEDGER_SUM                                                                                \
  "leat_sum(pipeline, epoch, fingerprint, created_s, looks, believed_looks, looked_s, file, version, " \
  "schema_sum)"
#define LEAT_SOURCE_SELECT LEAT_SOURCE_COLUMNS ", row_sum IS " LEAT_SOURCE_SUM
#define LEAT_OUTPUT_SELECT LEAT_OUTPUT_COLUMNS ", row_sum IS " LEAT_OUTPUT_SUM
#define LEAT_RUN_SELECT LEAT_RUN_COLUMNS ", row_sum IS " LEAT_RUN_SUM
#define LEAT_DEAD_LETTER_SELECT LEAT_DEAD_LETTER_COLUMNS ", row_sum IS " LEAT_DEAD_LETTER_SUM

namespace leat::ledger {

// Of a query of LEAT_..._SELECT, at a row. kFatal, 74: the row is damaged.
[[nodiscard]] Result<Source> source_of(const sqlite::Query& row);
[[nodiscard]] Result<Output> output_of(const sqlite::Query& row);
[[nodiscard]] Result<Run> run_of(const sqlite::Query& row);
[[nodiscard]] Result<DeadLetterFile> dead_letters_of(const sqlite::Query& row);
Counts counts_of(const sqlite::Query& row, int first_column);

// Parameters in the order of the columns. What they bind must outlive the query.
void bind(sqlite::Query& query, const Counts& counts);
void bind(sqlite::Query& query, const Source& source, std::int64_t now_s);
void bind(sqlite::Query& query, const Output& output, std::int64_t now_s);  // all but the id

}  // namespace leat::ledger
