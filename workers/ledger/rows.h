// Rows of the ledger to structs and back: the one place that knows the order of columns and the names of states.
#pragma once

#include "proto/result.h"
#include "workers/ledger/ledger.h"
#include "workers/ledger/sqlite.h"

// Macros, as they are parts of string literals.
#define LEAT_COUNT_COLUMNS "records_in, kept, dropped, dead, dead_by_reference, records_out, bytes_out"
#define LEAT_SOURCE_COLUMNS                                                                             \
  "id, path, size, mtime_ns, state, reason, lines, offset, frame_offset, frame_raw_offset, tail_hash, " \
  "tail_bytes, unterminated, head_hash, head_bytes, after_action, after_done, run, "                    \
  "updated_s, retry, " LEAT_COUNT_COLUMNS
#define LEAT_OUTPUT_COLUMNS "id, target, temporary, source, n, state, length, record_bytes, run, updated_s"
#define LEAT_RUN_COLUMNS \
  "id, started_s, ended_s, epoch, sources_done, sources_failed, sources_changed, " LEAT_COUNT_COLUMNS

namespace leat::ledger {

// Of a query that selects exactly the columns above, at a row.
Source source_of(const sqlite::Query& row);
Output output_of(const sqlite::Query& row);
Run run_of(const sqlite::Query& row);
Counts counts_of(const sqlite::Query& row, int first_column);

// Parameters in the order of the columns. What they bind must outlive the query.
void bind(sqlite::Query& query, const Counts& counts);
void bind(sqlite::Query& query, const Source& source, std::int64_t now_s);
void bind(sqlite::Query& query, const Output& output, std::int64_t now_s);  // all but the id

}  // namespace leat::ledger
