// The path is a name, not an identity: size, time and the first 64 KiB are. And of a file that is not finished, what
// was read must still stand there: its head, and the 64 KiB before the place where reading stopped. A file that only
// got longer keeps both, one that was rewritten loses one of them. Whatever is neither equal nor longer was truncated
// or edited, and then nobody can say which of its records were seen: only the user can.
#include "workers/reader/known.h"

#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <utility>

namespace leat::reader {
namespace {

using ledger::SourceState;

bool is_gone(const std::string& path) {
  struct stat found;
  return ::stat(path.c_str(), &found) != 0 && (errno == ENOENT || errno == ENOTDIR);
}

// File systems tell of a write that makes a file longer first by its time, and a moment later by its size.
bool grows_now(const File& listed) {
  struct stat found;
  return ::stat(listed.path.c_str(), &found) == 0 && make_file(listed.path, found).size > listed.size;
}

Result<bool> begins_like(const File& file, const ledger::Source& row) {
  if (row.head_bytes == 0) return row.size == 0;
  const InputFile open = LEAT_TRY(InputFile::open(file.path));
  const std::string head = LEAT_TRY(open.bytes(0, row.head_bytes));
  return begins_with(head, {row.head_hash, row.head_bytes});
}

}  // namespace

Position position_of(const ledger::Place& place) {
  return {place.lines + 1,
          place.offset,
          {place.frame_offset, place.frame_raw_offset},
          {place.tail_hash, place.tail_bytes},
          place.unterminated};
}

ledger::Place place_of(const Position& at) {
  return {at.line - 1,  at.offset,     at.frame.offset, at.frame.raw_offset,
          at.tail.hash, at.tail.bytes, at.unterminated};
}

std::string changed_text(const std::string& path, const std::string& what, const Position& at,
                         std::string remedy) {
  constexpr std::string_view kPath = "{path}";
  for (std::size_t i = remedy.find(kPath); i != std::string::npos; i = remedy.find(kPath, i + path.size())) {
    remedy.replace(i, kPath.size(), path);
  }
  return fmt::format("{}: {}; it was read up to line {}, offset {}. {}", path, what, at.line - 1, at.offset,
                     remedy);
}

Result<Known> Known::load(std::unique_ptr<Records> records, Options options) {
  Known known(options);
  if (records == nullptr) return known;
  known.records_ = std::move(records);
  const std::uint64_t last = LEAT_TRY(known.records_->last_id());
  known.next_id_ = last + 1;
  known.empty_ = last == 0;
  LEAT_TRY(known.records_->each_done(
      [&done = known.done_](std::string_view path, std::uint64_t size, std::int64_t mtime_ns) {
        done.add(path, size, mtime_ns);
      }));
  return known;
}

bool Known::nothing_to_do(const File& file) {
  return done_.contains(file.path, file.size, file.mtime_ns) ||
         (quiet_.size() > 0 && quiet_.contains(file.path, file.size, file.mtime_ns));
}

Result<Decision> Known::decide(const File& file) {
  if (nothing_to_do(file)) return Decision{Decision::Kind::kDone};
  Result<std::optional<ledger::Source>> row = row_at(file.path);
  if (!row) return tl::unexpected(row.error());
  std::string from;
  if (!*row) {
    row = moved_to(file);
    if (!row) return tl::unexpected(row.error());
    if (!*row) return Decision{Decision::Kind::kRead, next_id_++};
    from = (*row)->path;
    moved_[(*row)->id] = file.path;
    (*row)->path = file.path;
  }
  Result<Decision> decision = judge(**row, file);
  if (decision) {
    decision->id = (*row)->id;
    decision->moved_from = std::move(from);
  }
  return decision;
}

Result<std::optional<ledger::Source>> Known::row_at(const std::string& path) const {
  if (const auto found = paths_.find(path); found != paths_.end()) return since_.at(found->second);
  if (records_ == nullptr || (empty_ && !options_.follow)) return std::nullopt;
  Result<std::optional<ledger::Source>> row = records_->at(path);
  if (row && *row && (since_.contains((*row)->id) || moved_.contains((*row)->id))) {
    // The ledger does not know yet that the source has another path now.
    const auto moved = moved_.find((*row)->id);
    if (moved == moved_.end() || moved->second != path) return std::nullopt;
  }
  return row;
}

// The source that has come to this path from one that is gone.
Result<std::optional<ledger::Source>> Known::moved_to(const File& file) const {
  if (empty_ && !options_.follow) return std::nullopt;
  Result<std::vector<ledger::Source>> rows;
  if (records_ != nullptr) rows = records_->like(file.size, file.mtime_ns);
  if (!rows) return tl::unexpected(rows.error());
  std::erase_if(*rows, [this](const ledger::Source& row) { return since_.contains(row.id); });
  for (const auto& [id, row] : since_) {
    if (row.size == file.size && row.mtime_ns == file.mtime_ns) rows->push_back(row);
  }
  for (ledger::Source& row : *rows) {
    if (const auto moved = moved_.find(row.id); moved != moved_.end()) row.path = moved->second;
    if (!is_gone(row.path)) continue;
    const Result<bool> same = begins_like(file, row);
    if (!same && same.error().fault != Fault::kReject) return tl::unexpected(same.error());
    if (same && *same) return std::move(row);
  }
  return std::nullopt;
}

Result<Decision> Known::judge(const ledger::Source& row, const File& file) {
  using Kind = Decision::Kind;
  const bool same = row.size == file.size && row.mtime_ns == file.mtime_ns;
  const bool over = row.state == SourceState::kDone || row.state == SourceState::kFailed;
  if (row.state == SourceState::kChanged) {
    return Decision{
        reported_.insert(row.id).second ? Kind::kChanged : Kind::kIgnore, 0, {}, {}, {}, row.reason};
  }
  if (row.state == SourceState::kDone && same) return Decision{Kind::kDone};
  if (row.state == SourceState::kFailed && same && !row.retry && row.place.lines > 0) {
    return Decision{Kind::kFailed, 0, position_of(row.place), {}, {}, row.reason};
  }
  // What was read has been moved or deleted by us: this is another file.
  if (row.after_done) return Decision{};
  if (over && !same && options_.one_output_each) {
    const bool published = LEAT_TRY(records_->published(row.id));
    if (published) {
      return changed(row, file,
                     fmt::format("it {} after its output was published: it had {} bytes and has {}",
                                 file.size > row.size ? "grew" : "changed", row.size, file.size));
    }
  }
  if (row.place.offset == 0) return Decision{};
  // Where bytes before the end were not all there, the rest may have come in any way: head and tail will tell.
  const bool provisional = options_.growing || row.state == SourceState::kFailed;
  if (!same && !provisional && file.size < row.size) {
    return changed(row, file,
                   fmt::format("it was truncated: it had {} bytes and has {}", row.size, file.size));
  }
  if (!same && !provisional && file.size == row.size && !grows_now(file)) {
    return changed(row, file,
                   fmt::format("it was written to since it was read: it still has {} bytes, but another "
                               "time of modification",
                               row.size));
  }
  return Decision{Kind::kRead, 0, position_of(row.place), {row.head_hash, row.head_bytes}};
}

Decision Known::changed(const ledger::Source& row, const File& file, const std::string& what) {
  reported_.insert(row.id);
  return Decision{Decision::Kind::kChanged,
                  0,
                  {},
                  {},
                  {},
                  changed_text(file.path, what, position_of(row.place), options_.remedy)};
}

void Known::left(std::uint64_t id, const File& file, const Position& at, ledger::SourceState state,
                 const std::string& reason, bool retry) {
  if (state == SourceState::kChanged) reported_.insert(id);
  if (!options_.follow) return;
  ledger::Source& row = since_[id];
  if (!row.path.empty()) paths_.erase(row.path);
  row.id = id;
  row.path = file.path;
  row.size = file.size;
  row.mtime_ns = file.mtime_ns;
  row.head_hash = file.head.hash;
  row.head_bytes = file.head.bytes;
  row.state = state;
  row.place = place_of(at);
  row.reason = reason;
  row.retry = retry;
  paths_[row.path] = id;
}

void Known::committed(std::uint64_t id) {
  const auto found = since_.find(id);
  if (found == since_.end() || records_ == nullptr) return;
  if (found->second.state == SourceState::kReading) return;  // it waits, and continues
  paths_.erase(found->second.path);
  since_.erase(found);
  moved_.erase(id);
}

Result<std::vector<ledger::Source>> Known::open_sources() const {
  if (records_ == nullptr) return std::vector<ledger::Source>{};
  return records_->open();
}

Result<bool> Known::output_left() const {
  const std::uint64_t oldest = LEAT_TRY(oldest_unfinished());
  if (oldest == 0 || options_.numbered) return oldest != 0;
  const std::vector<ledger::Source> open = LEAT_TRY(open_sources());
  return std::none_of(open.begin(), open.end(), [](const ledger::Source& row) {
    return row.state == SourceState::kReading && row.place.lines > 0;
  });
}

Result<std::vector<ledger::View::Sought>> Known::sought_after(std::uint64_t last, std::size_t count) const {
  Result<std::vector<ledger::View::Sought>> found = records_->sought_after(last, count);
  if (!found) return found;
  for (ledger::View::Sought& source : *found) {
    if (const auto moved = moved_.find(source.id); moved != moved_.end()) source.path = moved->second;
  }
  return found;
}

}  // namespace leat::reader
