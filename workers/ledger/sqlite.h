// SQLite, as far as the ledger needs it. sqlite.cc is the only file that names the library.
//
// Every fault comes out as the ledger's header promises: kRetry for a fault that passes, kFatal with 74 or 78 and what to
// do. A connection is for one thread.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "proto/base/result.h"

struct sqlite3;
struct sqlite3_stmt;

namespace leat::ledger::sqlite {

// One use of a prepared statement; given back to its connection when this goes. What fails on the way (a bad statement, a
// file that cannot be read) is kept for next() or run() to say.
class Query {
 public:
  Query(Query&& other) noexcept
      : db_(other.db_),
        statement_(std::exchange(other.statement_, nullptr)),
        error_(std::move(other.error_)) {}
  Query& operator=(Query&&) = delete;
  ~Query();

  // The next parameter. Text is bytes, borrowed for the life of this.
  Query& with(std::uint64_t value);
  Query& with(std::int64_t value);
  Query& with(std::uint32_t value) { return with(std::uint64_t{value}); }
  Query& with(bool value) { return with(std::uint64_t{value ? 1U : 0U}); }
  Query& with(std::string_view text);
  Query& with(const std::string& text) { return with(std::string_view(text)); }

  [[nodiscard]] Result<bool> next();  // true: there is a row
  [[nodiscard]] Result<void> run();   // to the end, whatever comes

  // Of the row, by column from 0. Text lives until the next next().
  std::uint64_t number(int column) const { return static_cast<std::uint64_t>(integer(column)); }
  std::int64_t integer(int column) const;
  std::string_view text(int column) const;
  bool null(int column) const;

  // What is wrong with the file of this query, as an error that says what to do: kFatal, 74.
  Error damaged(std::string_view why) const;

 private:
  friend class Connection;
  Query(sqlite3* db, sqlite3_stmt* statement) : db_(db), statement_(statement) {}
  explicit Query(Error error) : error_(std::make_unique<Error>(std::move(error))) {}
  void check_bind(int code);

  sqlite3* db_ = nullptr;
  sqlite3_stmt* statement_ = nullptr;
  std::unique_ptr<Error> error_;
  int bound_ = 0;
};

// In SQL: leat_sum(...), XXH3-64 of its arguments: of types and values. Rows carry it (rows.h).
class Connection {
 public:
  enum class Mode : std::uint8_t {
    kWrite,  // and create
    kRead,
    kFrozen,  // read a file that no process writes, in a folder that we may not write: without locks or shared memory
  };
  [[nodiscard]] static Result<Connection> open(const std::string& file, Mode mode, int cache_kib);
  Connection(Connection&& other) noexcept
      : db_(std::exchange(other.db_, nullptr)), statements_(std::move(other.statements_)) {}
  Connection& operator=(Connection&&) = delete;
  ~Connection();

  // sql: one statement, a literal (statements are kept by its address). One use at a time of each.
  Query query(const char* sql);
  // One or more statements without results, not kept.
  [[nodiscard]] Result<void> run(const std::string& sql);
  // The first column of the only row of a statement that is not kept.
  [[nodiscard]] Result<std::int64_t> ask(const std::string& sql);
  Error damaged(std::string_view why) const;  // as Query's
  std::int64_t last_id() const;
  std::uint64_t changed() const;  // rows, by the last statement

 private:
  explicit Connection(sqlite3* db) : db_(db) {}

  sqlite3* db_;
  std::vector<std::pair<const char*, sqlite3_stmt*>> statements_;
};

// Undone unless committed. kWrite waits for other writers first; within kRead nothing that others commit is seen.
class Transaction {
 public:
  enum class Kind : std::uint8_t { kRead, kWrite };
  [[nodiscard]] static Result<Transaction> begin(Connection& db, Kind kind);
  Transaction(Transaction&& other) noexcept : db_(std::exchange(other.db_, nullptr)) {}
  Transaction& operator=(Transaction&&) = delete;
  ~Transaction();
  [[nodiscard]] Result<void> commit();

 private:
  explicit Transaction(Connection& db) : db_(&db) {}
  Connection* db_;
};

}  // namespace leat::ledger::sqlite
