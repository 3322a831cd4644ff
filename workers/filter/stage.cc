#include "workers/filter/stage.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <utility>

// Kept records are copied in runs: a run lasts as long as records are kept and is copied, in one go, when
// one is not. A batch of which every line is kept is passed on as it came, without a copy.
//
// Rejects are longer than their records, and the table is longer than records of a few bytes. So both are counted as they
// grow, and the batch is cut before the record that would take more than its grant: the reader sends what is behind it as
// another part.

namespace leat::filter {

namespace {

bool is_blank_line(std::string_view line) {
  return std::all_of(line.begin(), line.end(), [](char c) { return c == ' ' || c == '\t' || c == '\r'; });
}

}  // namespace

struct FilterStage::Split {
  Split(const proto::PayloadPool& pool, const proto::Batch& batch)
      : payloads(pool), in(batch.records()), header(batch.header()) {}

  const proto::PayloadPool& payloads;
  std::string_view in;
  proto::Header header;
  Buffer out;                         // allocated when the first line is skipped
  std::size_t run_begin = 0;          // in[run_begin, here) is kept but not copied yet
  std::uint32_t line = 0;             // of the record at hand, from 0
  bool whole = true;                  // nothing was skipped so far
  std::vector<std::uint32_t> before;  // lines of the rejects that came with the batch, ascending
  std::size_t kept_bytes = 0;         // of the lines that are kept
  std::size_t wanted = 0;             // by the record that did not fit

  // Records that come before the one at hand: those that were seen, and those that came as rejects.
  std::uint32_t records_before() const {
    if (before.empty()) [[likely]]
      return header.in;
    auto passed = std::lower_bound(before.begin(), before.end(), line) - before.begin();
    return header.in + static_cast<std::uint32_t>(passed);
  }
  bool fits(std::size_t bytes) {
    if (header.grant == 0 || bytes <= header.grant) return true;
    wanted = bytes;
    return false;
  }

  void leave_out(std::size_t begin, std::size_t end) {
    if (whole) {
      out = payloads.payload(in.size());
      whole = false;
    }
    out.append(in.data() + run_begin, begin - run_begin);
    run_begin = end;
  }
};

Result<FilterStage> FilterStage::make(const config::Pipeline& pipeline, const proto::PayloadPool& payloads) {
  json::Paths paths;
  auto predicates = LEAT_TRY(Predicates::compile(pipeline.filter.keep, paths));
  return FilterStage(std::move(predicates), paths, pipeline.has_processors(), payloads);
}

FilterStage::FilterStage(Predicates predicates, const json::Paths& paths, bool origins_wanted,
                         const proto::PayloadPool& payloads)
    : predicates_(std::move(predicates)),
      payloads_(&payloads),
      scanner_(paths),
      values_(paths.size()),
      origins_wanted_(origins_wanted) {}

// False: what becomes of the record does not fit any more.
bool FilterStage::scan_record(Split& split, std::size_t begin, std::size_t end) {
  std::string_view record = split.in.substr(begin, end - begin);
  proto::Origin origin{split.line, static_cast<std::uint32_t>(begin)};
  json::ScanError error;
  if (is_blank_line(record)) {
    split.leave_out(begin, end + 1);
    return true;
  }
  mark_.record(origin.offset_delta);
  hook_.on_record(record);
  if (!scanner_.next(begin, end, values_, error)) {
    if (!reject(split, origin, record, error)) return false;
    split.leave_out(begin, end + 1);
  } else if (predicates_.keep(values_)) {
    const std::size_t text = split.kept_bytes + record.size() + 1 + rejects_.size();
    const std::size_t table = origins_wanted_ ? (table_.size() + 1) * proto::kOriginBytes : 0;
    if (!split.fits(std::max(text, table))) return false;
    if (origins_wanted_) table_.push_back({origin, split.records_before()});
    split.kept_bytes += record.size() + 1;
    ++split.header.kept;
  } else {
    ++split.header.dropped;
    split.leave_out(begin, end + 1);
  }
  ++split.header.in;
  return true;
}

// Apart from the others, as most batches have none.
[[gnu::cold]] bool FilterStage::reject(Split& split, proto::Origin origin, std::string_view record,
                                       const json::ScanError& error) {
  proto::Reject reject;
  reject.origin = origin;
  reject.stage = proto::Stage::kFilter;
  reject.record = record;
  std::string reason = fmt::format("malformed JSON at byte {}: {}", error.offset, error.reason);
  reject.reason = reason;
  if (!split.fits(split.kept_bytes + rejects_.size() + proto::encoded_bytes(reject))) return false;
  ++split.header.rejected;
  proto::encode_reject(rejects_, reject);
  return true;
}

// The reader's rejects (a record that has killed before) among ours, in the order of their lines; of the lines that are
// left.
void FilterStage::merge_rejects(const proto::Batch& batch, Split& split) {
  if (split.before.empty()) return;
  std::vector<proto::Reject> all;
  auto ours =
      proto::decode_rejects(rejects_.view(), [&](const proto::Reject& reject) { all.push_back(reject); });
  auto theirs = proto::decode_rejects(batch.rejects(), [&](const proto::Reject& reject) {
    if (split.header.cut() && reject.origin.line_delta >= split.line) return;
    all.push_back(reject);
    ++split.header.in;
    ++split.header.rejected;
  });
  LEAT_CHECK(ours && theirs, "a rejects section that was checked when it came");
  std::stable_sort(all.begin(), all.end(), [](const proto::Reject& a, const proto::Reject& b) {
    return a.origin.line_delta < b.origin.line_delta;
  });
  Buffer merged(rejects_.size() + batch.rejects().size());
  for (const proto::Reject& reject : all) proto::encode_reject(merged, reject);
  rejects_ = std::move(merged);
}

Result<proto::Batch> FilterStage::transform(proto::Batch batch) {
  Split split(*payloads_, batch);
  split.header.in = split.header.rejected = 0;
  table_.clear();
  rejects_.clear();
  auto came = proto::decode_rejects(batch.rejects(), [&](const proto::Reject& reject) {
    split.before.push_back(reject.origin.line_delta);
  });
  LEAT_CHECK(came.has_value(), "a rejects section that was checked when it came");
  mark_.batch(split.header.source, split.header.first_offset);
  scanner_.begin(split.in);
  for (std::size_t begin = 0; begin < split.in.size(); ++split.line) {
    const void* newline = std::memchr(split.in.data() + begin, '\n', split.in.size() - begin);
    std::size_t end = newline == nullptr
                          ? split.in.size()
                          : static_cast<std::size_t>(static_cast<const char*>(newline) - split.in.data());
    if (!scan_record(split, begin, end)) {
      split.header.cut_at(split.header.first_line - 1 + split.line, split.header.first_offset + begin);
      split.leave_out(begin, split.in.size());
      break;
    }
    begin = end + 1;
  }
  mark_.none();
  return seal(std::move(batch), split);
}

proto::Batch FilterStage::seal(proto::Batch batch, Split& split) {
  proto::Header& header = split.header;
  header.out = header.kept;
  merge_rejects(batch, split);
  const std::size_t table = table_.size() * proto::kOriginBytes;
  const std::size_t text = split.whole ? 0 : split.kept_bytes + rejects_.size();
  header.made = static_cast<std::uint32_t>(header.in == 0 ? split.wanted : std::max(text, table));
  if (split.whole) return std::move(batch).reseal(header);
  if (split.run_begin < split.in.size()) split.leave_out(split.in.size(), split.in.size());
  return proto::Batch::seal(header, std::move(split.out), table_, rejects_.view());
}

}  // namespace leat::filter
