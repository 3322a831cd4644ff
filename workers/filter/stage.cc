#include "workers/filter/stage.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <utility>

// Kept records are copied in runs: a run goes on as long as records are kept and is copied, in one go, when
// one is not. A batch of which every line is kept is passed on as it came, without a copy.

namespace leat::filter {

namespace {

bool is_blank_line(std::string_view line) {
  return std::all_of(line.begin(), line.end(), [](char c) { return c == ' ' || c == '\t' || c == '\r'; });
}

}  // namespace

struct FilterStage::Split {
  std::string_view in;
  proto::Header header;
  Buffer out;                 // allocated when the first line is left out
  std::size_t run_begin = 0;  // in[run_begin, here) is kept but not copied yet
  std::uint32_t line = 0;     // of the record at hand, from 0
  bool whole = true;          // nothing was left out so far

  void leave_out(std::size_t begin, std::size_t end) {
    if (whole) {
      out = Buffer(in.size(), proto::kHeaderBytes);
      whole = false;
    }
    out.append(in.data() + run_begin, begin - run_begin);
    run_begin = end;
  }
};

Result<FilterStage> FilterStage::make(const config::Pipeline& pipeline) {
  json::Paths paths;
  auto predicates = Predicates::compile(pipeline.filter.keep, paths);
  if (!predicates) return tl::unexpected(predicates.error());
  return FilterStage(*std::move(predicates), paths, pipeline.has_processors());
}

FilterStage::FilterStage(Predicates predicates, const json::Paths& paths, bool origins_wanted)
    : predicates_(std::move(predicates)),
      scanner_(paths),
      values_(paths.size()),
      origins_wanted_(origins_wanted) {}

void FilterStage::look_at(Split& split, std::size_t begin, std::size_t end) {
  std::string_view record = split.in.substr(begin, end - begin);
  proto::Origin origin{split.line, static_cast<std::uint32_t>(begin)};
  json::ScanError error;
  if (is_blank_line(record)) {
    split.leave_out(begin, end + 1);
    return;
  }
  ++split.header.in;
  mark_.record(origin.offset_delta);
  hook_.look_at(record);
  if (!scanner_.next(begin, end, values_, error)) {
    ++split.header.rejected;
    split.leave_out(begin, end + 1);
    proto::Reject reject;
    reject.origin = origin;
    reject.stage = proto::Stage::kFilter;
    reject.record = record;
    std::string reason = fmt::format("malformed JSON at byte {}: {}", error.offset, error.reason);
    reject.reason = reason;
    proto::encode_reject(rejects_, reject);
  } else if (predicates_.keep(values_)) {
    ++split.header.kept;
    if (origins_wanted_) table_.push_back(origin);
  } else {
    ++split.header.dropped;
    split.leave_out(begin, end + 1);
  }
}

// The reader's rejects (a record that has killed before) among ours, in the order of their lines.
void FilterStage::merge_rejects(std::string_view earlier) {
  std::vector<proto::Reject> all;
  auto collect = [&](const proto::Reject& reject) { all.push_back(reject); };
  auto ours = proto::decode_rejects(rejects_.view(), collect);
  auto theirs = proto::decode_rejects(earlier, collect);
  LEAT_CHECK(ours && theirs, "a rejects section that was checked when it came");
  std::stable_sort(all.begin(), all.end(), [](const proto::Reject& a, const proto::Reject& b) {
    return a.origin.line_delta < b.origin.line_delta;
  });
  Buffer merged(rejects_.size() + earlier.size());
  for (const proto::Reject& reject : all) proto::encode_reject(merged, reject);
  rejects_ = std::move(merged);
}

Result<proto::Batch> FilterStage::transform(proto::Batch batch) {
  Split split;
  split.in = batch.records();
  split.header = batch.header();
  table_.clear();
  rejects_.clear();
  mark_.batch(split.header.source, split.header.first_offset);
  scanner_.begin(split.in);
  for (std::size_t begin = 0; begin < split.in.size(); ++split.line) {
    const void* newline = std::memchr(split.in.data() + begin, '\n', split.in.size() - begin);
    std::size_t end = newline == nullptr
                          ? split.in.size()
                          : static_cast<std::size_t>(static_cast<const char*>(newline) - split.in.data());
    look_at(split, begin, end);
    begin = end + 1;
  }
  mark_.none();
  split.header.out = split.header.kept;
  if (!batch.rejects().empty()) merge_rejects(batch.rejects());
  if (split.whole) return std::move(batch).reseal(split.header);
  split.leave_out(split.in.size(), split.in.size());
  return proto::Batch::seal(split.header, std::move(split.out), table_, rejects_.view());
}

}  // namespace leat::filter
