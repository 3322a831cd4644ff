// A ledger for tests of the reader: rows in a vector, filled from what the reader tells, as the writer would.
#pragma once

#include <sys/stat.h>

#include <algorithm>
#include <ctime>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "tests/unit/reader/events.h"
#include "workers/reader/known.h"

namespace leat::reader::test {

using ledger::SourceState;

// Shared by the test and the reader's thread.
struct Rows {
  std::mutex mutex;
  std::vector<ledger::Source> rows;
  std::vector<std::uint64_t> published;
  std::uint64_t oldest_unfinished = 0;
  std::uint64_t last_id = 0;
  std::vector<std::uint64_t> absent;
  std::int64_t looked_s = std::time(nullptr);

  ledger::Source& row(std::uint64_t id) {
    for (ledger::Source& each : rows) {
      if (each.id == id) return each;
    }
    rows.push_back({});
    rows.back().id = id;
    last_id = std::max(last_id, id);
    return rows.back();
  }

  // Takes in an event and commits it.
  void commit(const Event& event) {
    const std::lock_guard lock(mutex);
    if (const auto* opened = std::get_if<SourceOpened>(&event)) {
      ledger::Source& at = row(opened->id);
      at.path = opened->file.path;
      at.size = opened->file.size;
      at.mtime_ns = opened->file.mtime_ns;
      at.head_hash = opened->file.head.hash;
      at.head_bytes = opened->file.head.bytes;
      at.place = place_of(opened->start);
      at.state = SourceState::kReading;
      at.reason.clear();
    } else if (const auto* chunk = std::get_if<SourceChunk>(&event)) {
      row(chunk->id).place = place_of(chunk->chunk.after());
    } else if (const auto* ended = std::get_if<SourceEnded>(&event)) {
      ledger::Source& at = row(ended->id);
      at.place = place_of(ended->end);
      at.size = ended->file.size;
      at.mtime_ns = ended->file.mtime_ns;
      at.state = SourceState::kDone;
      at.after = after;
      at.held_by = oldest_unfinished;
    } else if (const auto* failed = std::get_if<SourceFailed>(&event)) {
      ledger::Source& at = row(failed->id);
      at.path = failed->path;
      at.place = place_of(failed->at);
      at.state = SourceState::kFailed;
      at.retry = failed->retry;
      at.reason = failed->reason;
    } else if (const auto* changed = std::get_if<SourceChanged>(&event)) {
      row(changed->id).state = SourceState::kChanged;
      row(changed->id).reason = changed->reason;
    } else if (const auto* moved = std::get_if<SourceMoved>(&event)) {
      row(moved->id).path = moved->path;
    } else if (const auto* finished = std::get_if<SourceFinished>(&event)) {
      row(finished->id).after_done = finished->reason.empty();
    }
  }
  std::string after;  // source.after
};

class FakeRecords : public Records {
 public:
  explicit FakeRecords(std::shared_ptr<Rows> rows) : rows_(std::move(rows)) {}
  Result<std::uint64_t> last_id() override { return rows_->last_id; }
  Result<void> each_done(const EachDone& each) override {
    const std::lock_guard lock(rows_->mutex);
    for (const ledger::Source& row : rows_->rows) {
      if (row.state == SourceState::kDone) each(row.path, row.size, row.mtime_ns);
    }
    return {};
  }
  Result<std::vector<ledger::Source>> open() override {
    return those([](const ledger::Source& row) {
      return row.state != SourceState::kDone || (!row.after.empty() && !row.after_done);
    });
  }
  Result<std::optional<ledger::Source>> at(const std::string& path) override {
    return first([&](const ledger::Source& row) { return row.path == path; });
  }
  Result<std::vector<ledger::Source>> like(std::uint64_t size, std::int64_t mtime_ns) override {
    return those([&](const ledger::Source& row) { return row.size == size && row.mtime_ns == mtime_ns; });
  }
  Result<std::vector<ledger::Source>> after_due(std::uint64_t last, std::size_t) override {
    return those([this, last](const ledger::Source& row) {
      return row.id > last && row.state == SourceState::kDone && !row.after.empty() && !row.after_done &&
             (rows_->oldest_unfinished == 0 || row.held_by < rows_->oldest_unfinished);
    });
  }
  Result<std::uint64_t> oldest_unfinished() override {
    const std::lock_guard lock(rows_->mutex);
    return rows_->oldest_unfinished;
  }
  Result<std::vector<ledger::View::Sought>> sought_after(std::uint64_t last, std::size_t count) override {
    std::vector<ledger::View::Sought> out;
    for (const ledger::Source& row : those([last](const ledger::Source& each) {
           return each.id > last && each.state != SourceState::kReading &&
                  (each.after.empty() || each.after_done);
         })) {
      const bool absent = std::count(rows_->absent.begin(), rows_->absent.end(), row.id) > 0;
      out.push_back({row.id, row.path, row.after_done, absent});
    }
    std::sort(out.begin(), out.end(), [](const auto& a, const auto& b) { return a.id < b.id; });
    out.resize(std::min(out.size(), count));
    return out;
  }
  Result<std::int64_t> looked_s() override { return rows_->looked_s; }
  Result<bool> published(std::uint64_t id) override {
    return std::find(rows_->published.begin(), rows_->published.end(), id) != rows_->published.end();
  }

 private:
  template <class Wanted>
  std::vector<ledger::Source> those(Wanted wanted) const {
    const std::lock_guard lock(rows_->mutex);
    std::vector<ledger::Source> out;
    for (const ledger::Source& row : rows_->rows) {
      if (wanted(row)) out.push_back(row);
    }
    return out;
  }
  template <class Wanted>
  std::optional<ledger::Source> first(Wanted wanted) const {
    const std::vector<ledger::Source> found = those(wanted);
    return found.empty() ? std::nullopt : std::optional(found[0]);
  }

  std::shared_ptr<Rows> rows_;
};

// A reader with that ledger.
inline ReadAhead::Options with_ledger(ReadAhead::Options given, const std::shared_ptr<Rows>& rows,
                                      bool one_output_each = false) {
  const Known::Options how{given.source.growing, given.follow, one_output_each};
  given.known = std::make_shared<Known>(Known::load(std::make_unique<FakeRecords>(rows), how).value());
  rows->after = given.source.after;
  return given;
}

// Runs to the end, or until `enough` events have come (a reader that dies then), committing all. Listed and End are left
// out.
inline Texts run(ReadAhead::Options given, const std::shared_ptr<Rows>& rows, std::size_t enough = 1000,
                 bool one_output_each = false) {
  ReadAhead ahead(with_ledger(std::move(given), rows, one_output_each));
  Texts out;
  while (out.size() < enough) {
    const Event event = wait(ahead);
    if (std::holds_alternative<Listed>(event)) continue;
    if (const auto* end = std::get_if<End>(&event)) {
      if (end->error) out.push_back("end: " + end->error->text);
      break;
    }
    out.push_back(text(event));
    rows->commit(event);
    if (const auto* ended = std::get_if<SourceEnded>(&event)) ahead.committed(ended->id);
    if (std::holds_alternative<InputRead>(event)) ahead.committed(0);
  }
  return out;
}

}  // namespace leat::reader::test
