#include "workers/ledger/rows.h"

#include <array>
#include <utility>

namespace leat::ledger {

namespace {

constexpr std::array<std::pair<SourceState, std::string_view>, 4> kSourceStates{{
    {SourceState::kReading, "reading"},
    {SourceState::kDone, "done"},
    {SourceState::kChanged, "changed"},
    {SourceState::kFailed, "failed"},
}};
constexpr std::array<std::pair<OutputState, std::string_view>, 3> kOutputStates{{
    {OutputState::kWriting, "writing"},
    {OutputState::kComplete, "complete"},
    {OutputState::kPublished, "published"},
}};

template <class States, class State>
std::string_view name_in(const States& states, State state) {
  for (const auto& [known, name] : states) {
    if (known == state) return name;
  }
  LEAT_CHECK(false, std::to_string(static_cast<int>(state)));
  return {};
}

// The table's CHECK lets nothing else in, and the row's sum is right.
template <class States>
auto state_in(const States& states, std::string_view text) {
  for (const auto& [state, name] : states) {
    if (name == text) return state;
  }
  LEAT_CHECK(false, std::string(text));
  return states[0].first;
}

// column: of the comparison of sums, the last one.
Result<void> check_sum(const sqlite::Query& row, int column, std::string_view what) {
  if (row.number(column) == 1) return {};
  return tl::unexpected(row.damaged(std::string(what) + " is not what was written"));
}

}  // namespace

std::string_view to_string(SourceState state) {
  return name_in(kSourceStates, state);
}

std::string_view to_string(OutputState state) {
  return name_in(kOutputStates, state);
}

void Counts::add(const Counts& more) {
  in += more.in;
  kept += more.kept;
  dropped += more.dropped;
  dead += more.dead;
  out += more.out;
  by_reference += more.by_reference;
  out_bytes += more.out_bytes;
}

Counts counts_of(const sqlite::Query& row, int first_column) {
  Counts counts;
  int column = first_column;
  for (auto* count : {&counts.in, &counts.kept, &counts.dropped, &counts.dead, &counts.by_reference,
                      &counts.out, &counts.out_bytes}) {
    *count = row.number(column++);
  }
  return counts;
}

void bind(sqlite::Query& query, const Counts& counts) {
  query.with(counts.in).with(counts.kept).with(counts.dropped).with(counts.dead);
  query.with(counts.by_reference).with(counts.out).with(counts.out_bytes);
}

Result<Source> source_of(const sqlite::Query& row) {
  LEAT_TRY(check_sum(row, 28, "the row of source " + std::to_string(row.number(0))));
  Source source;
  source.id = row.number(0);
  source.path = row.text(1);
  source.size = row.number(2);
  source.mtime_ns = row.integer(3);
  source.state = state_in(kSourceStates, row.text(4));
  source.reason = row.text(5);
  source.place.lines = row.number(6);
  source.place.offset = row.number(7);
  source.place.frame_offset = row.number(8);
  source.place.frame_raw_offset = row.number(9);
  source.place.tail_hash = row.number(10);
  source.place.tail_bytes = static_cast<std::uint32_t>(row.number(11));
  source.place.unterminated = row.number(12) != 0;
  source.head_hash = row.number(13);
  source.head_bytes = static_cast<std::uint32_t>(row.number(14));
  source.after = row.text(15);
  source.after_done = row.number(16) != 0;
  source.run = row.text(17);
  source.updated_s = row.integer(18);
  source.retry = row.number(19) != 0;
  source.held_by = row.number(20);
  source.counts = counts_of(row, 21);
  return source;
}

void bind(sqlite::Query& query, const Source& source, std::int64_t now_s) {
  query.with(source.id).with(source.path).with(source.size).with(source.mtime_ns);
  query.with(to_string(source.state)).with(source.reason);
  const Place& place = source.place;
  query.with(place.lines).with(place.offset).with(place.frame_offset).with(place.frame_raw_offset);
  query.with(place.tail_hash).with(place.tail_bytes).with(place.unterminated);
  query.with(source.head_hash).with(source.head_bytes).with(source.after).with(source.after_done);
  query.with(source.run).with(now_s).with(source.retry).with(source.held_by);
  bind(query, source.counts);
}

Result<Output> output_of(const sqlite::Query& row) {
  LEAT_TRY(check_sum(row, 10, "the row of output " + std::to_string(row.number(0))));
  Output output;
  output.id = row.number(0);
  output.target = row.text(1);
  output.temporary = row.text(2);
  output.source = row.number(3);
  output.n = row.number(4);
  output.state = state_in(kOutputStates, row.text(5));
  output.length = row.number(6);
  output.record_bytes = row.number(7);
  output.run = row.text(8);
  output.updated_s = row.integer(9);
  return output;
}

void bind(sqlite::Query& query, const Output& output, std::int64_t now_s) {
  query.with(output.target).with(output.temporary).with(output.source).with(output.n);
  query.with(to_string(output.state)).with(output.length).with(output.record_bytes);
  query.with(output.run).with(now_s);
}

Result<DeadLetterFile> dead_letters_of(const sqlite::Query& row) {
  LEAT_TRY(check_sum(row, 3, "the row of the dead-letter file"));
  return DeadLetterFile{std::string(row.text(0)), row.number(1), row.number(2)};
}

Result<Run> run_of(const sqlite::Query& row) {
  LEAT_TRY(check_sum(row, 14, "the row of a run"));
  Run run;
  run.id = row.text(0);
  run.started_s = row.integer(1);
  run.ended_s = row.integer(2);
  run.epoch = row.number(3);
  run.sources_done = row.number(4);
  run.sources_failed = row.number(5);
  run.sources_changed = row.number(6);
  run.counts = counts_of(row, 7);
  return run;
}

}  // namespace leat::ledger
