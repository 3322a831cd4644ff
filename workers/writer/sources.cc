#include "workers/writer/sources.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace leat::writer {

namespace {

using ledger::SourceState;

ledger::Place place_of(const proto::Header& header) {
  return {.lines = header.end_line,
          .offset = header.end_offset,
          .frame_offset = header.frame_offset,
          .frame_raw_offset = header.frame_raw_offset,
          .tail_hash = header.tail_hash,
          .tail_bytes = header.tail_bytes,
          .unterminated = (header.flags & proto::Header::kUnterminated) != 0};
}

// The newline that an unterminated last line has got since is passed over.
bool goes_on(const ledger::Place& place, const proto::Header& header) {
  bool at =
      header.end_offset == place.offset || (place.unterminated && header.end_offset == place.offset + 1);
  return at && header.end_line == place.lines;
}

}  // namespace

Result<const ledger::Source*> Sources::open(const proto::Header& header, const proto::SourceOpened& event) {
  auto row = LEAT_TRY(find_or_make(header, event.path));
  // source.after has moved or deleted what it was: its path holds another file now. That stays so until something of the
  // new one was read: what the old one has become must not be taken for an output of this one.
  const bool another = row.after_done && header.end_offset == 0;
  if (another) {
    row.place = {};
    row.counts = {};
  }
  if (!goes_on(row.place, header)) {
    return fail(Fault::kFatal,
                fmt::format("{} was opened at line {}, offset {}; the ledger is at line {}, offset {}",
                            row.path, header.end_line, header.end_offset, row.place.lines, row.place.offset),
                kExitBug);
  }
  if (row.run == run_.id) count(row.state, -1);
  if (!row.run.empty() && row.run != run_.id && row.place.offset > 0) resumed_ = true;
  row.size = event.size;
  row.mtime_ns = event.mtime_ns;
  if (event.head_bytes > 0) {
    row.head_bytes = event.head_bytes;
    row.head_hash = event.head_hash;
  }
  row.state = SourceState::kReading;
  row.reason.clear();
  row.retry = false;
  row.after.clear();
  row.held_by = 0;
  row.after_done = another;
  row.run = run_.id;
  if (header.end_offset != row.place.offset) row.place = place_of(header);
  auto [at, fresh] = open_.try_emplace(header.source, Open{std::move(row)});
  if (!fresh) {
    return fail(Fault::kFatal, fmt::format("source {} opened twice: {}", header.source, event.path),
                kExitBug);
  }
  ended_.erase(header.source);
  changed_ = true;
  return &at->second.row;
}

Result<const ledger::Source*> Sources::apply(const proto::Header& header) {
  ledger::Counts counts{.in = header.in,
                        .kept = header.kept,
                        .dropped = header.dropped,
                        .dead = header.rejected,
                        .out = header.out,
                        .out_bytes = header.records_bytes};
  if (!counts.adds_up()) {
    return fail(Fault::kFatal,
                fmt::format("the counts of batch {} do not add up: in {} kept {} dropped {} rejected {}",
                            header.sequence, header.in, header.kept, header.dropped, header.rejected),
                kExitBug);
  }
  auto at = open_.find(header.source);
  if (at == open_.end()) {
    return fail(Fault::kFatal, fmt::format("batch {}: source {} is not open", header.sequence, header.source),
                kExitBug);
  }
  ledger::Source& row = at->second.row;
  if (header.part > 0 && header.first_offset != row.place.offset) {
    return fail(Fault::kFatal,
                fmt::format("part {} of batch {} begins at offset {}; the part before it ends at {}",
                            header.part, header.sequence, header.first_offset, row.place.offset),
                kExitBug);
  }
  row.counts.add(counts);
  run_.counts.add(counts);
  row.place = place_of(header);
  row.after_done = false;
  at->second.changed = changed_ = true;
  return &row;
}

void Sources::add_by_reference(std::uint64_t source, std::uint64_t count) {
  if (count == 0) return;
  open_.at(source).row.counts.by_reference += count;
  run_.counts.by_reference += count;
}

Result<bool> Sources::end(const proto::Header& header, const proto::SourceEnded& event) {
  if (!open_.contains(header.source)) {
    return fail(Fault::kFatal, fmt::format("source {} ended and was not open: {}", header.source, event.path),
                kExitBug);
  }
  ledger::Source& row = open_.at(header.source).row;
  row.size = event.size;
  row.mtime_ns = event.mtime_ns;
  if (row.counts.by_reference == 0) row.after = after_;
  return close(header, event.path, SourceState::kDone, {});
}

Result<bool> Sources::fail_at(const proto::Header& header, const proto::SourceFailed& event) {
  return close(header, event.path, SourceState::kFailed, event.reason, event.retry);
}

// What it was is how it will be known again.
Result<bool> Sources::change(const proto::Header& header, const proto::SourceChanged& event) {
  return close(header, event.path, SourceState::kChanged, event.reason);
}

Result<bool> Sources::close(const proto::Header& header, const std::string& path, SourceState state,
                            const std::string& reason, bool retry) {
  auto at = open_.find(header.source);
  bool was_open = at != open_.end();
  ledger::Source row;
  if (was_open) {
    row = std::move(at->second.row);
    open_.erase(at);
    // A change is noticed anywhere: its place is the last one that was applied.
    if (state != SourceState::kChanged) row.place = place_of(header);
  } else {
    row = LEAT_TRY(find_or_make(header, path));
    if (row.run == run_.id) count(row.state, -1);
  }
  row.state = state;
  row.after_done = false;
  row.reason = reason;
  row.retry = retry;
  row.run = run_.id;
  count(state, 1);
  ended_[header.source] = std::move(row);
  return was_open;
}

Result<void> Sources::move(const proto::Header& header, const proto::SourceMoved& event) {
  auto row = LEAT_TRY(look_up(header, event.path));
  row->path = event.path;
  return {};
}

Result<void> Sources::finish(const proto::Header& header, const proto::SourceFinished& event) {
  if (!event.reason.empty()) return {};
  auto row = LEAT_TRY(look_up(header, event.path));
  row->after_done = true;
  return {};
}

// The row, in memory from now on, and to be committed.
Result<ledger::Source*> Sources::look_up(const proto::Header& header, const std::string& path) {
  changed_ = true;
  if (auto at = open_.find(header.source); at != open_.end()) {
    at->second.changed = true;
    return &at->second.row;
  }
  auto row = LEAT_TRY(find_or_make(header, path));
  return &(ended_[header.source] = std::move(row));
}

Result<ledger::Source> Sources::find_or_make(const proto::Header& header, const std::string& path) {
  if (auto at = ended_.find(header.source); at != ended_.end()) return at->second;
  auto known = LEAT_TRY(view_.source_with(header.source));
  if (known) return *known;
  ledger::Source row;
  row.id = header.source;
  row.path = path;
  return row;
}

void Sources::count(SourceState state, int by) {
  auto add = [&](std::uint64_t& counter) {
    if (by > 0 || counter > 0) counter += static_cast<std::uint64_t>(static_cast<std::int64_t>(by));
  };
  switch (state) {
    case SourceState::kReading:
      return;
    case SourceState::kDone:
      return add(run_.sources_done);
    case SourceState::kChanged:
      return add(run_.sources_changed);
    case SourceState::kFailed:
      return add(run_.sources_failed);
  }
}

void Sources::prepare(ledger::Commit& commit) const {
  for (const auto& [id, row] : ended_) commit.sources.push_back(row);
  for (const auto& [id, open] : open_) {
    if (open.changed) commit.sources.push_back(open.row);
  }
  std::sort(commit.sources.begin(), commit.sources.end(),
            [](const ledger::Source& a, const ledger::Source& b) { return a.id < b.id; });
}

void Sources::committed() {
  ended_.clear();
  for (auto& [id, open] : open_) open.changed = false;
  changed_ = false;
}

}  // namespace leat::writer
