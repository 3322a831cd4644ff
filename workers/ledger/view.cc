#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include <fmt/format.h>

#include "workers/ledger/database.h"
#include "workers/ledger/ledger.h"
#include "workers/ledger/rows.h"
#include "workers/ledger/schema.h"

namespace leat::ledger {

namespace {

using sqlite::Connection;
using sqlite::Query;

// Readers of a WAL need its shared memory, and the folder is where that is made. In a folder that we may not write it is
// there while a writer is; when none is and all is in the file itself, the file alone will do.
Connection::Mode mode_for(const std::string& folder) {
  if (::access(folder.c_str(), W_OK) == 0) return Connection::Mode::kRead;
  struct stat wal {};
  bool pending = ::stat((file_in(folder) + "-wal").c_str(), &wal) == 0 && wal.st_size > 0;
  return pending ? Connection::Mode::kRead : Connection::Mode::kFrozen;
}

// Calls `each` for every row until it returns false. Queries are taken as they come: a temporary, or what with() returns.
template <class Each>
Result<void> for_rows(Query& query, Each each) {
  for (;;) {
    auto row = LEAT_TRY(query.next());
    if (!row || !each(query)) return {};
  }
}

template <class Each>
Result<void> for_rows(Query&& query, Each each) {
  return for_rows(query, std::move(each));
}

template <class T, class AnyQuery, class Make>
Result<std::vector<T>> all(AnyQuery&& query, Make make) {
  std::vector<T> rows;
  Result<void> made;
  auto done = for_rows(std::forward<AnyQuery>(query), [&](const Query& row) {
    Result<T> next = make(row);
    if (!next) made = tl::unexpected(next.error());
    if (next) rows.push_back(*std::move(next));
    return made.has_value();
  });
  if (!done || !made) return tl::unexpected(done ? made.error() : done.error());
  return rows;
}

template <class T, class AnyQuery, class Make>
Result<std::optional<T>> first(AnyQuery&& query, Make make) {
  Result<std::optional<T>> found;
  auto done = for_rows(std::forward<AnyQuery>(query), [&](const Query& row) {
    Result<T> made = make(row);
    if (made)
      found = std::optional<T>(*std::move(made));
    else
      found = tl::unexpected(made.error());
    return false;
  });
  if (!done) return tl::unexpected(done.error());
  return found;
}

Result<std::uint64_t> number_of(const Query& row) {
  return row.number(0);
}

template <class AnyQuery>
Result<std::uint64_t> number(AnyQuery&& query) {
  auto found = LEAT_TRY(first<std::uint64_t>(std::forward<AnyQuery>(query), number_of));
  return found.value_or(0);
}

}  // namespace

View::View(std::shared_ptr<Reader> reader) : reader_(std::move(reader)) {}
View::View(View&&) noexcept = default;
View& View::operator=(View&&) noexcept = default;
View::~View() = default;

Result<std::optional<View>> View::open(const std::string& folder) {
  std::string file = file_in(folder);
  struct stat info {};
  if (::stat(file.c_str(), &info) != 0 && (errno == ENOENT || errno == ENOTDIR)) return std::optional<View>();
  auto db = LEAT_TRY(Connection::open(file, mode_for(folder), kCacheKib));
  auto version = LEAT_TRY(version_of(db, migrations().size(), file));
  if (version == 0) return std::optional<View>();
  if (version < migrations().size()) {
    return fail(
        Fault::kFatal,
        fmt::format("the ledger {} is of version {}, made by an earlier leat; the next run brings it up to "
                    "version {}",
                    file, version, migrations().size()),
        kExitConfig);
  }
  return View(std::make_shared<Reader>(Reader{std::move(db)}));
}

Result<std::string> View::pipeline() {
  auto found = LEAT_TRY(
      first<std::string>(reader_->db.query("SELECT pipeline FROM ledger"),
                         [](const Query& row) -> Result<std::string> { return std::string(row.text(0)); }));
  return found.value_or("");
}

Result<std::string> View::file() {
  auto found = LEAT_TRY(
      first<std::string>(reader_->db.query("SELECT file FROM ledger"),
                         [](const Query& row) -> Result<std::string> { return std::string(row.text(0)); }));
  return found.value_or("");
}

Result<std::uint64_t> View::epoch() {
  return number(reader_->db.query("SELECT epoch FROM ledger"));
}

Result<std::uint64_t> View::last_source_id() {
  return number(reader_->db.query(
      "SELECT max((SELECT ifnull(max(seq), 0) FROM sqlite_sequence WHERE name = 'sources'), (SELECT "
      "ifnull(max(id), 0) FROM sources))"));
}

Result<std::uint64_t> View::last_output_id() {
  return number(reader_->db.query(
      "SELECT max((SELECT ifnull(max(seq), 0) FROM sqlite_sequence WHERE name = 'outputs'), (SELECT "
      "ifnull(max(id), 0) FROM outputs))"));
}

Result<void> View::each_source(const std::function<bool(const Source&)>& each) {
  Result<void> damaged;
  auto done = for_rows(reader_->db.query("SELECT " LEAT_SOURCE_SELECT " FROM sources ORDER BY path"),
                       [&](const Query& row) {
                         auto source = source_of(row);
                         if (!source) damaged = tl::unexpected(source.error());
                         return source && each(*source);
                       });
  return done ? damaged : done;
}

Result<std::vector<Source>> View::sources_after(const std::string& path, std::size_t count) {
  return all<Source>(
      reader_->db.query("SELECT " LEAT_SOURCE_SELECT " FROM sources WHERE path > ? ORDER BY path LIMIT ?")
          .with(path)
          .with(std::uint64_t{count}),
      source_of);
}

Result<void> View::each_done(const std::function<void(const Done&)>& each) {
  return for_rows(reader_->db.query("SELECT path, size, mtime_ns FROM sources WHERE state = 'done'"),
                  [&](const Query& row) {
                    each({row.text(0), row.number(1), row.integer(2)});
                    return true;
                  });
}

Result<std::vector<View::Sought>> View::sought_after(std::uint64_t last, std::size_t count) {
  return all<Sought>(
      reader_->db
          .query("SELECT id, path, after_done, absent_since IS NOT NULL FROM sources WHERE id > ? AND "
                 "state <> 'reading' AND (after_action = '' OR after_done = 1) ORDER BY id LIMIT ?")
          .with(last)
          .with(std::uint64_t{count}),
      [](const Query& row) -> Result<Sought> {
        return Sought{row.number(0), std::string(row.text(1)), row.number(2) != 0, row.number(3) != 0};
      });
}

Result<std::int64_t> View::looked_s() {
  auto found = LEAT_TRY(number(reader_->db.query("SELECT looked_s FROM ledger")));
  return static_cast<std::int64_t>(found);
}

Result<std::optional<Source>> View::source_at(const std::string& path) {
  return first<Source>(
      reader_->db.query("SELECT " LEAT_SOURCE_SELECT " FROM sources WHERE path = ?").with(path), source_of);
}

Result<std::optional<Source>> View::source_with(std::uint64_t id) {
  return first<Source>(reader_->db.query("SELECT " LEAT_SOURCE_SELECT " FROM sources WHERE id = ?").with(id),
                       source_of);
}

Result<std::vector<Source>> View::sources_like(std::uint64_t size, std::int64_t mtime_ns) {
  return all<Source>(
      reader_->db
          .query("SELECT " LEAT_SOURCE_SELECT " FROM sources WHERE size = ? AND mtime_ns = ? ORDER BY path")
          .with(size)
          .with(mtime_ns),
      source_of);
}

Result<std::vector<Source>> View::open_sources() {
  return all<Source>(
      reader_->db.query("SELECT " LEAT_SOURCE_SELECT " FROM sources INDEXED BY sources_open WHERE state <> "
                        "'done' OR (after_action <> '' AND after_done = 0) "
                        "ORDER BY path"),
      source_of);
}

Result<std::vector<Source>> View::after_due(std::uint64_t last, std::size_t count) {
  return all<Source>(
      reader_->db
          .query("SELECT " LEAT_SOURCE_SELECT
                 " FROM sources INDEXED BY sources_open WHERE (state <> 'done' OR (after_action <> '' AND "
                 "after_done = 0)) AND state = 'done' AND id > ? AND NOT EXISTS (SELECT 1 FROM outputs o "
                 "INDEXED BY outputs_unfinished WHERE o.state <> 'published' AND o.id <= sources.held_by AND "
                 "(o.source = 0 OR o.source = sources.id)) ORDER BY id LIMIT ?")
          .with(last)
          .with(std::uint64_t{count}),
      source_of);
}

Result<std::uint64_t> View::oldest_unfinished() {
  return number(reader_->db.query(
      "SELECT min(id) FROM outputs INDEXED BY outputs_unfinished WHERE state <> 'published' AND source = 0"));
}

Result<std::vector<Output>> View::unfinished_outputs() {
  return all<Output>(
      reader_->db.query("SELECT " LEAT_OUTPUT_SELECT
                        " FROM outputs INDEXED BY outputs_unfinished WHERE state <> 'published' ORDER BY id"),
      output_of);
}

Result<std::vector<Output>> View::outputs_of_source(std::uint64_t source) {
  return all<Output>(
      reader_->db.query("SELECT " LEAT_OUTPUT_SELECT " FROM outputs WHERE source = ? ORDER BY id")
          .with(source),
      output_of);
}

Result<std::vector<Output>> View::outputs_of_run(const std::string& run) {
  return all<Output>(
      reader_->db.query("SELECT " LEAT_OUTPUT_SELECT " FROM outputs WHERE run = ? ORDER BY id").with(run),
      output_of);
}

Result<std::optional<Output>> View::output_at(const std::string& target) {
  return first<Output>(
      reader_->db
          .query("SELECT " LEAT_OUTPUT_SELECT " FROM outputs WHERE target = ? ORDER BY id DESC LIMIT 1")
          .with(target),
      output_of);
}

Result<std::uint64_t> View::last_n(std::uint64_t source) {
  return number(reader_->db.query("SELECT max(n) FROM outputs WHERE source = ?").with(source));
}

Result<std::optional<DeadLetterFile>> View::dead_letters() {
  return first<DeadLetterFile>(reader_->db.query("SELECT " LEAT_DEAD_LETTER_SELECT " FROM dead_letters"),
                               dead_letters_of);
}

Result<std::optional<Run>> View::run(const std::string& id) {
  return first<Run>(reader_->db.query("SELECT " LEAT_RUN_SELECT " FROM runs WHERE id = ?").with(id), run_of);
}

Result<std::optional<Run>> View::last_run() {
  return first<Run>(reader_->db.query("SELECT " LEAT_RUN_SELECT " FROM runs ORDER BY number DESC LIMIT 1"),
                    run_of);
}

Result<View::Totals> View::totals() {
  Totals totals;
  LEAT_TRY(for_rows(
      reader_->db.query("SELECT sum(state = 'reading'), sum(state = 'done'), sum(state = 'changed'), "
                        "sum(state = 'failed'), max(CASE state WHEN 'done' THEN updated_s ELSE 0 END), "
                        "sum(records_in), sum(kept), sum(dropped), sum(dead), sum(dead_by_reference), "
                        "sum(records_out), sum(bytes_out) FROM sources"),
      [&](const Query& row) {
        totals.reading = row.number(0);
        totals.done = row.number(1);
        totals.changed = row.number(2);
        totals.failed = row.number(3);
        totals.last_done_s = row.integer(4);
        totals.counts = counts_of(row, 5);
        return true;
      }));
  return totals;
}

Result<View::OutputTotals> View::output_totals() {
  OutputTotals totals;
  LEAT_TRY(for_rows(reader_->db.query("SELECT sum(state = 'writing'), sum(state = 'complete'), "
                                      "sum(state = 'published'), "
                                      "sum(CASE state WHEN 'published' THEN length ELSE 0 END) FROM outputs"),
                    [&](const Query& row) {
                      totals.writing = row.number(0);
                      totals.complete = row.number(1);
                      totals.published = row.number(2);
                      totals.published_bytes = row.number(3);
                      return true;
                    }));
  return totals;
}

}  // namespace leat::ledger
