#include "workers/ledger/sqlite.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sqlite3.h>
#include <unistd.h>
#include <xxhash.h>

#include <cerrno>
#include <cstring>

#include "proto/base/fd.h"
#include "proto/base/files.h"

namespace leat::ledger::sqlite {

namespace {

constexpr int kBusyMs = 5'000;

Error no_room(const std::string& file) {
  return {Fault::kFatal, fmt::format("no room for the ledger {}: free some and run again", file), kExitIo};
}

Error forbidden(const std::string& file, const char* why) {
  return {Fault::kFatal,
          fmt::format(
              "the ledger {} cannot be opened as needed: {}; give this user the right to, or choose another "
              "folder with --state",
              file, why),
          kExitConfig};
}

Error damaged_file(const std::string& file, std::string_view why) {
  return {
      Fault::kFatal,
      fmt::format(
          "the ledger {} is damaged: {}; put back a copy of its folder and of the outputs, or move both away "
          "and run again: all sources are read again then",
          file, why),
      kExitIo};
}

// errno of the system call behind a failure of SQLite's file layer.
Error io_error(const std::string& file, const char* why, int error) {
  if (error == ENOSPC || error == EDQUOT) return no_room(file);
  // One that it could not create SQLite tries to open read-only, and forgets why.
  if (error == ENOENT && ::access(folder_of(file).c_str(), W_OK) == 0) error = 0;
  if (error == EACCES || error == EPERM || error == EROFS || error == ENOENT || error == ENOTDIR) {
    return forbidden(file, std::strerror(error));
  }
  std::string text = fmt::format("cannot use the ledger {}: {}{}{}", file, why, error == 0 ? "" : ": ",
                                 error == 0 ? "" : std::strerror(error));
  if (is_transient(error)) return {Fault::kRetry, std::move(text), kExitIo};
  return {Fault::kFatal, text + "; check the disk and run again", kExitIo};
}

std::string file_of(sqlite3* db) {
  const char* name = db == nullptr ? nullptr : sqlite3_db_filename(db, "main");
  return name == nullptr ? "" : name;
}

void sum(sqlite3_context* context, int count, sqlite3_value** values) {
  std::string bytes;
  for (int i = 0; i < count; ++i) {
    sqlite3_value* value = values[i];
    int type = sqlite3_value_type(value);
    bytes += static_cast<char>(type);
    if (type == SQLITE_INTEGER) {
      auto number = static_cast<std::uint64_t>(sqlite3_value_int64(value));
      for (int shift = 0; shift < 64; shift += 8) bytes += static_cast<char>((number >> shift) & 0xFF);
    } else if (type != SQLITE_NULL) {
      const auto* text = static_cast<const char*>(sqlite3_value_blob(value));
      auto size = static_cast<std::size_t>(sqlite3_value_bytes(value));
      bytes += std::to_string(size) + ':';
      if (size > 0) bytes.append(text, size);
    }
  }
  sqlite3_result_int64(context, static_cast<sqlite3_int64>(XXH3_64bits(bytes.data(), bytes.size())));
}

// SQLite takes a read that fails with EIO for a database that is malformed; what its files have met last says otherwise.
int last_errno(sqlite3* db) {
  int error = 0;
  sqlite3_file_control(db, "main", SQLITE_FCNTL_LAST_ERRNO, &error);
  sqlite3_file* log = nullptr;
  if (!is_transient(error) &&
      sqlite3_file_control(db, "main", SQLITE_FCNTL_JOURNAL_POINTER, &log) == SQLITE_OK && log != nullptr &&
      log->pMethods != nullptr) {
    log->pMethods->xFileControl(log, SQLITE_FCNTL_LAST_ERRNO, &error);
  }
  return error;
}

// Its first page says by which version of SQLite it may be written; a later one is read only.
bool is_of_another_version(const std::string& file) {
  constexpr off_t kWriteVersion = 18;
  constexpr unsigned char kLatest = 2;
  const Fd fd(::open(file.c_str(), O_RDONLY | O_CLOEXEC));
  unsigned char version = 0;
  return fd && ::pread(fd.get(), &version, 1, kWriteVersion) == 1 && version > kLatest;
}

Error translate(sqlite3* db, int code) {
  std::string file = file_of(db);
  const char* why = sqlite3_errmsg(db);
  switch (code & 0xFF) {
    case SQLITE_FULL:
      return no_room(file);
    case SQLITE_IOERR:
    case SQLITE_CANTOPEN: {
      const int error = last_errno(db);
      return io_error(file, why, is_transient(error) ? error : sqlite3_system_errno(db));
    }
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
    case SQLITE_PROTOCOL:
      return {Fault::kRetry, fmt::format("the ledger {} is in use by another program: {}", file, why),
              kExitIo};
    case SQLITE_READONLY:
      if (::access(file.c_str(), W_OK) != 0 || ::access(folder_of(file).c_str(), W_OK) != 0)
        return forbidden(file, why);
      if (is_of_another_version(file)) return damaged_file(file, why);
      return io_error(file, "it could be opened for reading only", 0);
    case SQLITE_PERM:
    case SQLITE_AUTH:
      return forbidden(file, why);
    case SQLITE_NOMEM:
      return {Fault::kFatal, fmt::format("no memory for the ledger {}", file), kExitIo};
    case SQLITE_MISUSE:
      return {Fault::kFatal, fmt::format("the ledger {}: {} (code {})", file, why, code), kExitBug};
    default:
      // SQLITE_CORRUPT, SQLITE_NOTADB; but also a table or a column that is not there, as its name is another one now.
      if (const int error = last_errno(db); is_transient(error))
        return io_error(file, "a read failed", error);
      return damaged_file(file, why);
  }
}

// A path as the part of a URI that SQLite takes apart again.
std::string uri_of(const std::string& file) {
  std::string uri = "file:";
  for (char byte : file) {
    if (byte == '%' || byte == '?' || byte == '#') {
      uri += fmt::format("%{:02X}", static_cast<unsigned char>(byte));
    } else {
      uri += byte;
    }
  }
  return uri + "?immutable=1";
}

}  // namespace

Query::~Query() {
  if (statement_ == nullptr) return;
  sqlite3_reset(statement_);
  sqlite3_clear_bindings(statement_);
}

void Query::check_bind(int code) {
  if (code != SQLITE_OK && !error_) error_ = std::make_unique<Error>(translate(db_, code));
}

Query& Query::with(std::int64_t value) {
  if (statement_ != nullptr) check_bind(sqlite3_bind_int64(statement_, ++bound_, value));
  return *this;
}

Query& Query::with(std::uint64_t value) {
  return with(static_cast<std::int64_t>(value));
}

Query& Query::with(std::string_view text) {
  if (statement_ == nullptr) return *this;
  const char* bytes = text.data() == nullptr ? "" : text.data();
  check_bind(sqlite3_bind_text64(statement_, ++bound_, bytes, text.size(), SQLITE_STATIC, SQLITE_UTF8));
  return *this;
}

Result<bool> Query::next() {
  if (error_) return tl::unexpected(*error_);
  int code = sqlite3_step(statement_);
  if (code == SQLITE_ROW) return true;
  if (code == SQLITE_DONE) return false;
  return tl::unexpected(translate(db_, sqlite3_extended_errcode(db_)));
}

Result<void> Query::run() {
  for (;;) {
    auto row = LEAT_TRY(next());
    if (!row) return {};
  }
}

std::int64_t Query::integer(int column) const {
  return sqlite3_column_int64(statement_, column);
}

std::string_view Query::text(int column) const {
  const auto* bytes = reinterpret_cast<const char*>(sqlite3_column_text(statement_, column));
  if (bytes == nullptr) return {};
  return {bytes, static_cast<std::size_t>(sqlite3_column_bytes(statement_, column))};
}

Error Query::damaged(std::string_view why) const {
  return damaged_file(file_of(db_), why);
}

bool Query::null(int column) const {
  return sqlite3_column_type(statement_, column) == SQLITE_NULL;
}

Result<Connection> Connection::open(const std::string& file, Mode mode, int cache_kib) {
  int flags = SQLITE_OPEN_NOMUTEX;
  flags |= mode == Mode::kWrite ? SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE : SQLITE_OPEN_READONLY;
  bool frozen = mode == Mode::kFrozen;
  if (frozen) flags |= SQLITE_OPEN_URI;
  sqlite3* db = nullptr;
  int code = sqlite3_open_v2(frozen ? uri_of(file).c_str() : file.c_str(), &db, flags, nullptr);
  if (db == nullptr) return fail(Fault::kFatal, fmt::format("no memory for the ledger {}", file));
  Connection connection(db);
  if (code != SQLITE_OK) {
    int error = sqlite3_system_errno(db);
    return tl::unexpected((code & 0xFF) == SQLITE_CANTOPEN ? io_error(file, sqlite3_errmsg(db), error)
                                                           : translate(db, code));
  }
  sqlite3_extended_result_codes(db, 1);
  sqlite3_busy_timeout(db, kBusyMs);
  constexpr int kPure = SQLITE_UTF8 | SQLITE_DETERMINISTIC;
  sqlite3_create_function_v2(db, "leat_sum", -1, kPure, nullptr, sum, nullptr, nullptr, nullptr);
  LEAT_TRY(connection.run(fmt::format("PRAGMA cache_size=-{}; PRAGMA temp_store=memory", cache_kib)));
  return connection;
}

Connection::~Connection() {
  for (auto& [sql, statement] : statements_) sqlite3_finalize(statement);
  if (db_ != nullptr) sqlite3_close_v2(db_);
}

Query Connection::query(const char* sql) {
  for (auto& [known, statement] : statements_) {
    if (known != sql) continue;
    LEAT_CHECK(sqlite3_stmt_busy(statement) == 0, sql);
    return {db_, statement};
  }
  sqlite3_stmt* statement = nullptr;
  int code = sqlite3_prepare_v3(db_, sql, -1, SQLITE_PREPARE_PERSISTENT, &statement, nullptr);
  if (code != SQLITE_OK) return Query(translate(db_, sqlite3_extended_errcode(db_)));
  statements_.emplace_back(sql, statement);
  return {db_, statement};
}

Result<void> Connection::run(const std::string& sql) {
  int code = sqlite3_exec(db_, sql.c_str(), nullptr, nullptr, nullptr);
  if (code != SQLITE_OK) return tl::unexpected(translate(db_, sqlite3_extended_errcode(db_)));
  return {};
}

Result<std::int64_t> Connection::ask(const std::string& sql) {
  sqlite3_stmt* statement = nullptr;
  int code = sqlite3_prepare_v2(db_, sql.c_str(), -1, &statement, nullptr);
  if (code == SQLITE_OK) code = sqlite3_step(statement);
  Result<std::int64_t> answer = std::int64_t{0};
  if (code == SQLITE_ROW) {
    answer = sqlite3_column_int64(statement, 0);
  } else if (code != SQLITE_DONE) {
    answer = tl::unexpected(translate(db_, sqlite3_extended_errcode(db_)));
  }
  sqlite3_finalize(statement);
  return answer;
}

Error Connection::damaged(std::string_view why) const {
  return damaged_file(file_of(db_), why);
}

std::int64_t Connection::last_id() const {
  return sqlite3_last_insert_rowid(db_);
}

std::uint64_t Connection::changed() const {
  return static_cast<std::uint64_t>(sqlite3_changes64(db_));
}

Result<Transaction> Transaction::begin(Connection& db, Kind kind) {
  LEAT_TRY(db.query(kind == Kind::kWrite ? "BEGIN IMMEDIATE" : "BEGIN").run());
  return Transaction(db);
}

Transaction::~Transaction() {
  // When SQLite has rolled back by itself this fails, and that is as well.
  if (db_ != nullptr) std::ignore = db_->query("ROLLBACK").run();
}

Result<void> Transaction::commit() {
  auto done = db_->query("COMMIT").run();
  if (done) db_ = nullptr;
  return done;
}

}  // namespace leat::ledger::sqlite
