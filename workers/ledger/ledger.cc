// One transaction a commit. WAL, so that readers never wait and never make the writer wait; synchronous=FULL, so that a
// transaction that has been reported is on the disk. The epoch is compared inside the transaction, which has the write lock
// by then: a writer that has been taken for dead and wakes up after its successor has begun finds another number there and
// changes nothing.
//
// A row that is written goes in with INSERT OR REPLACE: it takes the place of its id and of whatever other source had its
// path. So sources that have swapped their names may be written in any order.
#include "workers/ledger/ledger.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <ctime>
#include <utility>

#include "proto/base/files.h"
#include "workers/ledger/database.h"
#include "workers/ledger/rows.h"
#include "workers/ledger/schema.h"

namespace leat::ledger {

namespace {

using sqlite::Connection;
using sqlite::Transaction;

// XXH3-64 of nothing, as xxHash fixes it.
constexpr std::uint64_t kHashOfNothing = 0x2D06800538D394C2;
constexpr int kRunsKept = 1000;
constexpr std::uint64_t kPruneRows = 4096;
constexpr off_t kSmallBytes = 64 * 1024 * 1024;  // checked as a whole in less than a second

// autocheckpoint: pages of 4 KiB in the WAL before they are moved into the file, which is when readers allow. size_limit:
// what is left of a WAL that grew under a slow reader.
constexpr const char* kSettings =
    "PRAGMA synchronous=FULL; PRAGMA wal_autocheckpoint=512; PRAGMA journal_size_limit=4194304";

Result<void> use_wal(Connection& db, const std::string& file) {
  auto mode = db.query("PRAGMA journal_mode=WAL");
  auto row = LEAT_TRY(mode.next());
  if (row && mode.text(0) == "wal") return {};
  return fail(
      Fault::kFatal,
      fmt::format(
          "the file system of {} does not do what a ledger needs (SQLite's WAL: shared memory); choose "
          "another folder with --state",
          file),
      kExitConfig);
}

// The sum of a row that was changed, in the transaction that has changed it.
Result<void> seal_ledger(Connection& db) {
  return db.query("UPDATE ledger SET row_sum = " LEAT_LEDGER_SUM).run();
}
Result<void> seal_source(Connection& db, std::uint64_t id) {
  return db.query("UPDATE sources SET row_sum = " LEAT_SOURCE_SUM " WHERE id = ?").with(id).run();
}
Result<void> seal_output(Connection& db, std::uint64_t id) {
  return db.query("UPDATE outputs SET row_sum = " LEAT_OUTPUT_SUM " WHERE id = ?").with(id).run();
}
Result<void> seal_run(Connection& db, const std::string& id) {
  return db.query("UPDATE runs SET row_sum = " LEAT_RUN_SUM " WHERE id = ?").with(id).run();
}

bool same_file(const std::string& a, const std::string& b) {
  struct stat one {
  }, other{};
  return a == b || (::stat(a.c_str(), &one) == 0 && ::stat(b.c_str(), &other) == 0 &&
                    one.st_dev == other.st_dev && one.st_ino == other.st_ino);
}

bool is_gone(const std::string& path) {
  struct stat info {};
  return ::lstat(path.c_str(), &info) != 0 && (errno == ENOENT || errno == ENOTDIR);
}

// The ledger belongs to one pipeline, and to the file that has it: a copy of the file is another one. A file that was
// moved takes its ledger with it, as nothing is left where it was.
Result<void> claim_file(Connection& db, View& view, const std::string& pipeline_file, const std::string& file,
                        std::string& note) {
  auto owner = LEAT_TRY(view.file());
  if (pipeline_file.empty() || owner == pipeline_file) return {};
  if (!owner.empty() && !same_file(owner, pipeline_file)) {
    if (!belongs_to(owner, pipeline_file)) {
      return fail(Fault::kFatal,
                  fmt::format("the state {} belongs to {}: give {} another name:, or another folder with "
                              "--state; if it takes the place of that file, remove that one",
                              file, owner, pipeline_file),
                  kExitConfig);
    }
    note = fmt::format("{} does not exist any more: {} continues with its state", owner, pipeline_file);
  }
  auto transaction = LEAT_TRY(Transaction::begin(db, Transaction::Kind::kWrite));
  auto done = db.query("UPDATE ledger SET file = ?").with(pipeline_file).run();
  if (done) done = seal_ledger(db);
  return done ? transaction.commit() : done;
}

Result<void> claim(Connection& db, View& view, const std::string& pipeline, const std::string& file) {
  auto owner = LEAT_TRY(view.pipeline());
  if (owner == pipeline) return {};
  if (owner.empty()) {
    auto transaction = LEAT_TRY(Transaction::begin(db, Transaction::Kind::kWrite));
    auto done = db.query("UPDATE ledger SET pipeline = ?").with(pipeline).run();
    if (done) done = seal_ledger(db);
    return done ? transaction.commit() : done;
  }
  return fail(
      Fault::kFatal,
      fmt::format("{} is the ledger of the pipeline {}, not of {}; choose another folder with --state", file,
                  owner, pipeline),
      kExitConfig);
}

// A page that nobody can read right is found before anybody has believed it.
Result<void> check(Connection& db, View& view, bool small) {
  auto first = verify(db, small);
  if (!first || small) return first;
  auto last = LEAT_TRY(view.last_run());
  bool clean = last && last->ended_s != 0;
  return clean ? Result<void>{} : verify(db, true);
}

Result<void> write_presence(Connection& db, const Presence& presence, std::int64_t now_s) {
  for (std::uint64_t id : presence.absent) {
    auto written =
        db.query(
              "UPDATE sources SET absent_since = (SELECT iif(sources.after_done, looks, believed_looks) "
              "FROM ledger) WHERE id = ? AND absent_since IS NULL")
            .with(id)
            .run();
    if (written) written = seal_source(db, id);
    if (!written) return written;
  }
  for (std::uint64_t id : presence.present) {
    auto written = db.query("UPDATE sources SET absent_since = NULL WHERE id = ?").with(id).run();
    if (written) written = seal_source(db, id);
    if (!written) return written;
  }
  if (!presence.whole) return {};
  auto written =
      db.query("UPDATE ledger SET looks = looks + 1, believed_looks = believed_looks + ?, looked_s = ?")
          .with(presence.believed)
          .with(now_s)
          .run();
  return written ? seal_ledger(db) : written;
}

// At most kPruneRows. Returns their ids.
Result<std::vector<std::uint64_t>> delete_absent(Connection& db) {
  auto query = db.query(
      "DELETE FROM sources WHERE id IN (SELECT s.id FROM ledger, sources s INDEXED BY sources_absent "
      "WHERE s.absent_since IS NOT NULL AND s.absent_since + ? < iif(s.after_done, looks, believed_looks) "
      "AND NOT EXISTS (SELECT 1 FROM outputs WHERE source = s.id AND state <> 'published') LIMIT ?) "
      "RETURNING id");
  query.with(kScansKept).with(kPruneRows);
  std::vector<std::uint64_t> ids;
  for (;;) {
    auto row = LEAT_TRY(query.next());
    if (!row) return ids;
    ids.push_back(query.number(0));
  }
}

// last_output: the highest id of an output, those of this commit included.
Result<void> write_sources(Connection& db, const std::vector<Source>& sources, std::uint64_t last_output,
                           std::int64_t now_s) {
  for (Source source : sources) {
    bool waits = source.state == SourceState::kDone && !source.after.empty() && !source.after_done;
    if (waits && source.held_by == 0) source.held_by = last_output;
    LEAT_CHECK(source.id != 0 && !source.path.empty(), source.path);
    auto insert = db.query("INSERT OR REPLACE INTO sources (" LEAT_SOURCE_COLUMNS
                           ") VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)");
    bind(insert, source, now_s);
    auto written = insert.run();
    if (written) written = seal_source(db, source.id);
    if (!written) return written;
  }
  return {};
}

// new_ids: of the outputs that had none, in their order.
Result<void> write_outputs(Connection& db, const std::vector<Output*>& outputs, std::int64_t now_s,
                           std::vector<std::uint64_t>& new_ids) {
  for (const Output* output : outputs) {
    auto write = output->id == 0
                     ? db.query(
                           "INSERT INTO outputs (target, temporary, source, n, state, length, "
                           "record_bytes, run, updated_s) VALUES (?,?,?,?,?,?,?,?,?)")
                     : db.query(
                           "INSERT OR REPLACE INTO outputs (target, temporary, source, n, state, "
                           "length, record_bytes, run, updated_s, id) VALUES (?,?,?,?,?,?,?,?,?,?)");
    bind(write, *output, now_s);
    if (output->id != 0) write.with(output->id);
    if (auto written = write.run(); !written) return written;
    std::uint64_t id = output->id == 0 ? static_cast<std::uint64_t>(db.last_id()) : output->id;
    if (output->id == 0) new_ids.push_back(id);
    if (auto sealed = seal_output(db, id); !sealed) return sealed;
  }
  return {};
}

Result<void> write_dead_letters(Connection& db, const DeadLetterFile& file) {
  if (file.path.empty()) return db.query("DELETE FROM dead_letters").run();
  auto written =
      db.query("INSERT OR REPLACE INTO dead_letters (only_row, path, length, letters) VALUES (1,?,?,?)")
          .with(file.path)
          .with(file.length)
          .with(file.letters)
          .run();
  return written ? db.query("UPDATE dead_letters SET row_sum = " LEAT_DEAD_LETTER_SUM).run() : written;
}

Result<void> write_run(Connection& db, const Run& run) {
  auto update = db.query(
      "UPDATE runs SET ended_s=?, epoch=?, sources_done=?, sources_failed=?, sources_changed=?, "
      "records_in=?, kept=?, "
      "dropped=?, dead=?, dead_by_reference=?, records_out=?, bytes_out=? WHERE id=?");
  update.with(run.ended_s).with(run.epoch);
  update.with(run.sources_done).with(run.sources_failed).with(run.sources_changed);
  bind(update, run.counts);
  auto written = update.with(run.id).run();
  return written ? seal_run(db, run.id) : written;
}

}  // namespace

struct Ledger::Database {
  std::shared_ptr<View::Reader> reader;
  View view;
  std::string note = {};
  Connection& db() { return reader->db; }
};

bool belongs_to(const std::string& owner, const std::string& pipeline_file) {
  return owner.empty() || same_file(owner, pipeline_file) || is_gone(owner);
}

Ledger::Ledger(std::unique_ptr<Database> database) : database_(std::move(database)) {}
Ledger::Ledger(Ledger&&) noexcept = default;
Ledger& Ledger::operator=(Ledger&&) noexcept = default;
Ledger::~Ledger() = default;

View& Ledger::view() {
  return database_->view;
}

std::string Ledger::take_note() {
  return std::exchange(database_->note, {});
}

Result<Ledger> Ledger::open(const std::string& folder, const std::string& pipeline,
                            const std::string& pipeline_file) {
  std::string file = file_in(folder);
  struct stat info {};
  bool existed = ::stat(file.c_str(), &info) == 0;
  auto db = Connection::open(file, Connection::Mode::kWrite, kCacheKib);
  if (!db) return tl::unexpected(db.error());
  auto reader = std::make_shared<View::Reader>(View::Reader{std::move(*db)});
  Ledger ledger(std::make_unique<Database>(Database{.reader = reader, .view = View(reader)}));
  // Before anything is changed in what may be somebody else's file.
  LEAT_TRY(version_of(reader->db, migrations().size(), file));
  Result<void> ready = use_wal(reader->db, file);
  if (ready) ready = reader->db.run(kSettings);
  if (ready) ready = migrate(reader->db, migrations(), file);
  if (ready) ready = check(reader->db, ledger.view(), info.st_size < kSmallBytes);
  if (ready) ready = claim(reader->db, ledger.view(), pipeline, file);
  if (ready) ready = claim_file(reader->db, ledger.view(), pipeline_file, file, ledger.database_->note);
  if (ready && !existed) ready = sync_folder(folder);
  if (!ready) return tl::unexpected(ready.error());
  return ledger;
}

Result<std::uint64_t> Ledger::begin_epoch(const std::string& run) {
  Connection& db = database_->db();
  auto transaction = LEAT_TRY(Transaction::begin(db, Transaction::Kind::kWrite));
  auto before = view().epoch();
  if (!before) return before;
  std::uint64_t epoch = *before + 1;
  auto now_s = static_cast<std::int64_t>(std::time(nullptr));
  // A scan of the future was made by a clock that was wrong: the next one is not to wait for that day.
  Result<void> done =
      db.query("UPDATE ledger SET epoch = ?, looked_s = min(looked_s, ?)").with(epoch).with(now_s).run();
  if (done) done = seal_ledger(db);
  if (done) {
    done =
        db.query(
              "INSERT INTO runs (id, started_s, epoch) VALUES (?,?,?) ON CONFLICT (id) DO UPDATE SET epoch = "
              "excluded.epoch, ended_s = 0")
            .with(run)
            .with(now_s)
            .with(epoch)
            .run();
  }
  if (done) done = seal_run(db, run);
  if (done) {
    done = db.query("DELETE FROM runs WHERE number <= (SELECT max(number) FROM runs) - ?")
               .with(std::int64_t{kRunsKept})
               .run();
  }
  if (done) done = transaction.commit();
  if (!done) return tl::unexpected(done.error());
  return epoch;
}

Result<void> Ledger::commit(const Commit& commit) {
  Connection& db = database_->db();
  auto transaction = LEAT_TRY(Transaction::begin(db, Transaction::Kind::kWrite));
  auto epoch = LEAT_TRY(view().epoch());
  if (epoch != commit.epoch) {
    return fail(Fault::kFatal,
                fmt::format("another writer has taken over: this one is of epoch {}, the ledger is at {}",
                            commit.epoch, epoch),
                kExitBug);
  }
  auto now_s = static_cast<std::int64_t>(std::time(nullptr));
  std::vector<std::uint64_t> new_ids;
  Result<void> done = write_presence(db, commit.presence, now_s);
  if (done) done = write_outputs(db, commit.outputs, now_s, new_ids);
  auto last_output = LEAT_TRY(view().last_output_id());
  if (done) done = write_sources(db, commit.sources, last_output, now_s);
  for (std::uint64_t id : commit.forget_outputs) {
    if (done) done = db.query("DELETE FROM outputs WHERE id = ?").with(id).run();
  }
  if (done && commit.dead_letters) done = write_dead_letters(db, *commit.dead_letters);
  if (done && !commit.run.id.empty()) done = write_run(db, commit.run);
  if (done) done = transaction.commit();
  if (!done) return done;
  auto new_id = new_ids.begin();
  for (Output* output : commit.outputs) {
    if (output->id == 0) output->id = *new_id++;
    output->updated_s = now_s;
  }
  return {};
}

Result<void> Ledger::forget_all() {
  Connection& db = database_->db();
  auto transaction = LEAT_TRY(Transaction::begin(db, Transaction::Kind::kWrite));
  Result<void> done = db.query("DELETE FROM sources").run();
  if (done) done = db.query("DELETE FROM outputs").run();
  if (done) done = db.query("DELETE FROM dead_letters").run();
  return done ? transaction.commit() : done;
}

Result<bool> Ledger::start_over(const std::string& path) {
  Connection& db = database_->db();
  auto transaction = LEAT_TRY(Transaction::begin(db, Transaction::Kind::kWrite));
  auto done =
      db.query(
            "UPDATE sources SET state='reading', size=0, mtime_ns=0, head_bytes=0, head_hash=?, reason='', "
            "retry=0, "
            "lines=0, offset=0, frame_offset=0, frame_raw_offset=0, tail_hash=?, tail_bytes=0, "
            "unterminated=0, records_in=0, kept=0, dropped=0, dead=0, dead_by_reference=0, records_out=0, "
            "bytes_out=0, after_action='', after_done=0, held_by=0, absent_since=NULL, updated_s=unixepoch() "
            "WHERE "
            "path=?")
          .with(kHashOfNothing)
          .with(kHashOfNothing)
          .with(path)
          .run();
  bool known = db.changed() > 0;
  if (done)
    done = db.query("UPDATE sources SET row_sum = " LEAT_SOURCE_SUM " WHERE path = ?").with(path).run();
  if (done) done = transaction.commit();
  if (!done) return tl::unexpected(done.error());
  return known;
}

// Some at a time: while a transaction is open the WAL can only grow.
Result<std::uint64_t> Ledger::prune() {
  Connection& db = database_->db();
  for (std::uint64_t pruned = 0;;) {
    auto transaction = LEAT_TRY(Transaction::begin(db, Transaction::Kind::kWrite));
    auto ids = LEAT_TRY(delete_absent(db));
    for (std::uint64_t id : ids) {
      LEAT_TRY(db.query("DELETE FROM outputs WHERE source = ?").with(id).run());
    }
    if (ids.empty()) return pruned;
    LEAT_TRY(transaction.commit());
    pruned += ids.size();
  }
}

Result<std::optional<std::uint64_t>> Ledger::fingerprint() {
  auto query = database_->db().query("SELECT fingerprint FROM ledger");
  auto row = LEAT_TRY(query.next());
  if (!row || query.null(0)) return std::optional<std::uint64_t>();
  return std::optional(query.number(0));
}

Result<void> Ledger::set_fingerprint(std::uint64_t fingerprint) {
  Connection& db = database_->db();
  auto transaction = LEAT_TRY(Transaction::begin(db, Transaction::Kind::kWrite));
  auto done = db.query("UPDATE ledger SET fingerprint = ?").with(fingerprint).run();
  if (done) done = seal_ledger(db);
  return done ? transaction.commit() : done;
}

}  // namespace leat::ledger
