#include "workers/processor/stage.h"

#include <algorithm>
#include <cstring>
#include <limits>
#include <optional>
#include <span>
#include <utility>

#include <fmt/format.h>

#include "config/budget.h"

// Steps are cut into segments at each exec, and the whole batch goes through one segment after the other: so
// a child always has many records before it, and the structure of a batch is indexed once a segment, not once
// a record.
//
// What a segment makes is held against the batch's grant, record by record. The first one that does not fit is taken back,
// and with it all that come behind it leave the batch: each later segment sees less, never more, and so do the rejects.

namespace leat::processor {

// What one segment makes, held against the grant. begin() each of its lines, then ask fits(). What is rejected between a
// record and the next one that is left leaves with it: a cut is in front of one that is left.
// Most batches have no rejects and fit: those are told by three comparisons a record.
class ProcessorStage::Meter {
 public:
  Meter(ProcessorStage& stage, const Lines& in, Buffer& bytes, Lines& out)
      : stage_(stage),
        in_(in),
        bytes_(bytes),
        out_(out),
        counted_(stage.rejected_.size()),
        earlier_end_(counted_),
        easy_bytes_(counted_ == 0 && stage.carried_.empty() ? stage.grant_ : 0),
        easy_lines_(stage.grant_ / proto::kOriginBytes) {}
  ~Meter() { stage_.made_ = std::max(stage_.made_, bytes_.size() + rejects_); }
  Meter(const Meter&) = delete;
  Meter& operator=(const Meter&) = delete;

  void begin(std::size_t line) {
    if (in_.inputs[line] == input_) return;
    input_ = in_.inputs[line];
    line_ = line;
    bytes_mark_ = bytes_.size();
    lines_mark_ = out_.ends.size();
    rejects_mark_ = stage_.rejected_.size();
  }

  // False: all that was made of the record is taken back, and it is where the batch is cut. A record whose results are over
  // their bound is a reject instead.
  bool fits() {
    if (bytes_.size() <= easy_bytes_ && out_.ends.size() <= easy_lines_ && stage_.rejected_.empty() &&
        bytes_.size() - bytes_mark_ <= stage_.max_result_bytes_) [[likely]] {
      return true;
    }
    return fits_with_rejects();
  }

 private:
  [[gnu::noinline]] bool fits_with_rejects() {
    if (bytes_.size() - bytes_mark_ > stage_.max_result_bytes_) reject_results();
    std::size_t after = line_;
    while (after < in_.inputs.size() && in_.inputs[after] == input_) ++after;
    // The next that is left, or where the batch is cut.
    const std::uint32_t next = after < in_.inputs.size() ? in_.inputs[after] : stage_.cut_;
    const auto& rejected = stage_.rejected_;
    for (; earlier_ < earlier_end_ && rejected[earlier_].input < next; ++earlier_) {
      rejects_ += stage_.reject_bytes(rejected[earlier_]);
    }
    for (; counted_ < rejected.size(); ++counted_) rejects_ += stage_.reject_bytes(rejected[counted_]);
    const std::size_t carried = stage_.carried_.empty() ? 0 : stage_.carried_[next];
    const std::size_t needed =
        std::max(bytes_.size() + rejects_ + carried, out_.ends.size() * proto::kOriginBytes);
    if (needed <= stage_.grant_) return true;
    take_back();
    stage_.cut_ = input_;
    // Half of one more line is not known yet: what needs more than this asks again.
    stage_.wanted_ = needed + needed / 4;
    rejects_ = 0;
    return false;
  }

  void reject_results() {
    const std::size_t size = bytes_.size() - bytes_mark_;
    take_back();
    stage_.rejected_.push_back(
        {input_, 1,
         fmt::format("its results take {} bytes; {} are allowed", size, stage_.max_result_bytes_)});
  }

  void take_back() {
    bytes_.resize(bytes_mark_);
    out_.ends.resize(lines_mark_);
    out_.inputs.resize(lines_mark_);
    stage_.rejected_.resize(rejects_mark_);
    counted_ = std::min(counted_, rejects_mark_);
  }

  static constexpr std::uint32_t kNone = std::numeric_limits<std::uint32_t>::max();
  ProcessorStage& stage_;
  const Lines& in_;
  Buffer& bytes_;
  Lines& out_;
  std::uint32_t input_ = kNone;
  std::size_t line_ = 0;  // the first of the input
  std::size_t bytes_mark_ = 0;
  std::size_t lines_mark_ = 0;
  std::size_t rejects_mark_ = 0;
  std::size_t rejects_ = 0;  // bytes of rejects so far, but for those that came with the batch
  std::size_t counted_;      // in stage_.rejected_
  std::size_t earlier_ = 0;  // of earlier segments: counted as their records come by
  std::size_t earlier_end_;
  std::size_t easy_bytes_;  // that fit as long as nothing is rejected
  std::size_t easy_lines_;
};

void ProcessorStage::Lines::clear() {
  ends.clear();
  inputs.clear();
}

void ProcessorStage::Lines::add(std::uint32_t end, std::uint32_t input) {
  ends.push_back(end);
  inputs.push_back(input);
}

Result<ProcessorStage> ProcessorStage::make(const config::Pipeline& pipeline,
                                            const proto::PayloadPool& payloads, Callbacks callbacks) {
  const std::uint64_t max_result_bytes = config::max_result_bytes(pipeline);
  ProcessorStage stage(payloads, std::move(callbacks), max_result_bytes);
  std::span<const config::Step> steps = pipeline.process.steps;
  while (!steps.empty()) {
    if (steps.front().op == config::Step::Op::kExec) {
      config::Step step = steps.front();
      step.timeout = std::min(step.timeout, pipeline.process.timeout);
      auto exec =
          std::make_unique<Exec>(step, pipeline.base_dir, max_result_bytes, stage.callbacks_.on_warning);
      if (auto started = exec->start(); !started) return tl::unexpected(started.error());
      stage.segments_.emplace_back(std::move(exec));
      steps = steps.subspan(1);
      continue;
    }
    auto end = std::find_if(steps.begin(), steps.end(),
                            [](const config::Step& step) { return step.op == config::Step::Op::kExec; });
    auto run = steps.first(static_cast<std::size_t>(end - steps.begin()));
    auto compiled = Steps::compile(run, max_result_bytes);
    if (!compiled) return tl::unexpected(compiled.error());
    stage.segments_.emplace_back(*std::move(compiled));
    steps = steps.subspan(run.size());
  }
  return stage;
}

void ProcessorStage::run_steps(Steps& steps, const Lines& in, Buffer& bytes, Lines& out) {
  bool indexed = index_.build(in.text) == json::IndexFault::kNone;
  std::span<const std::uint32_t> positions = index_.positions();
  Meter meter(*this, in, bytes, out);
  std::size_t at = 0;
  std::uint32_t begin = 0;
  for (std::size_t i = 0; i < in.ends.size(); ++i) {
    std::uint32_t end = in.ends[i];
    std::size_t first = at;
    while (at < positions.size() && positions[at] < end) ++at;
    meter.begin(i);
    mark_.record(origins_[in.inputs[i]].origin.offset_delta);
    hook_.on_record(in.text.substr(begin, end - begin));
    if (!indexed) {
      // The filter and the child's reader have checked every record, so this is damage on the way.
      rejected_.push_back({in.inputs[i], 1, "not valid JSON when it reached the steps"});
    } else if (steps.apply(in.text, begin, end, positions.subspan(first, at - first), bytes, reason_)) {
      out.add(static_cast<std::uint32_t>(bytes.size()), in.inputs[i]);
      bytes.push_back('\n');
    } else {
      rejected_.push_back({in.inputs[i], 1, reason_});
    }
    if (!meter.fits()) return;
    begin = end + 1;
  }
}

Result<void> ProcessorStage::run_exec(Exec& exec, const Lines& in, Buffer& bytes, Lines& out) {
  std::vector<std::string_view> records;
  records.reserve(in.ends.size());
  std::uint32_t begin = 0;
  for (std::uint32_t end : in.ends) {
    records.push_back(in.text.substr(begin, end - begin));
    begin = end + 1;
  }
  mark_.guarded(true);
  if (!in.inputs.empty()) mark_.record(origins_[in.inputs.front()].origin.offset_delta);
  const std::size_t rejected_before = rejected_.size();
  const std::uint32_t cut_before = cut_;
  std::optional<Meter> meter(std::in_place, *this, in, bytes, out);
  auto on_result = [&](std::size_t index, const ExecResult& result) {
    if (index + 1 < in.inputs.size()) mark_.record(origins_[in.inputs[index + 1]].origin.offset_delta);
    meter->begin(index);
    if (result.kind == ExecResult::Kind::kRejected) {
      rejected_.push_back({in.inputs[index], result.attempts, std::string(result.reason)});
    }
    std::string_view left = result.kind == ExecResult::Kind::kRecords ? result.bytes : std::string_view{};
    while (!left.empty()) {
      std::size_t length = left.find('\n');
      bytes.append(left.substr(0, length + 1));
      out.add(static_cast<std::uint32_t>(bytes.size() - 1), in.inputs[index]);
      left.remove_prefix(length + 1);
    }
    return meter->fits();
  };
  auto ran = exec.run(records, grant_, on_result, callbacks_.should_stop);
  if (!ran && ran.error().fault == Fault::kReject) {  // all of it is void, and comes again
    bytes.clear();
    out.clear();
    rejected_.resize(rejected_before);
    cut_ = cut_before;
    meter.emplace(*this, in, bytes, out);
    ran = exec.run(records, grant_, on_result, callbacks_.should_stop);
  }
  mark_.guarded(false);
  return ran;
}

std::size_t ProcessorStage::reject_bytes(const Rejected& rejected) const {
  const std::uint32_t end = record_ends_[rejected.input];
  const std::uint32_t begin = rejected.input == 0 ? 0 : record_ends_[rejected.input - 1] + 1;
  proto::Reject reject;
  reject.reason = rejected.reason;
  return proto::encoded_bytes(reject) + end - begin;
}

// Rejects leave in the order of their lines, wherever they were made; those behind the cut stay.
void ProcessorStage::merge_rejects(const proto::Batch& batch, const Lines& records) {
  rejects_.clear();
  auto next = rejected_.begin();
  auto put_own = [&] {
    std::uint32_t begin = next->input == 0 ? 0 : records.ends[next->input - 1] + 1;
    proto::Reject reject;
    reject.origin = origins_[next->input].origin;
    reject.stage = proto::Stage::kProcessor;
    reject.attempts = static_cast<std::uint8_t>(std::min(next->attempts, 255));
    reject.reason = next->reason;
    reject.record = records.text.substr(begin, records.ends[next->input] - begin);
    proto::encode_reject(rejects_, reject);
    ++next;
  };
  const bool cut = cut_ < origins_.size();
  // The section was checked when the batch was made by the filter; damage would have failed the message's
  // checks.
  auto decoded = proto::decode_rejects(batch.rejects(), [&](const proto::Reject& reject) {
    if (cut && reject.origin.line_delta >= origins_[cut_].origin.line_delta) return;
    while (next != rejected_.end() && origins_[next->input].origin.line_delta < reject.origin.line_delta) {
      put_own();
    }
    proto::encode_reject(rejects_, reject);
  });
  LEAT_CHECK(decoded.has_value(), decoded.error().text);
  while (next != rejected_.end()) put_own();
}

// By record, each once.
void ProcessorStage::sort_rejected() {
  auto before = [](const Rejected& a, const Rejected& b) { return a.input < b.input; };
  auto same = [](const Rejected& a, const Rejected& b) { return a.input == b.input; };
  std::stable_sort(rejected_.begin(), rejected_.end(), before);
  rejected_.erase(std::unique(rejected_.begin(), rejected_.end(), same), rejected_.end());
}

// Runs the segments one after the other. The lines that come out are in `out`.
Result<const ProcessorStage::Lines*> ProcessorStage::run_segments(const Lines& records, Buffer& out) {
  const Lines* in = &records;
  Buffer held;  // what *in points into, from the second segment on
  for (std::size_t i = 0; i < segments_.size(); ++i) {
    Lines& made = lines_[i % 2];
    made.clear();
    sort_rejected();
    out = payloads_->payload(in->text.size() + in->text.size() / 16 + 256);
    if (auto* steps = std::get_if<Steps>(&segments_[i])) {
      run_steps(*steps, *in, out, made);
    } else if (auto done = run_exec(*std::get<std::unique_ptr<Exec>>(segments_[i]), *in, out, made); !done) {
      return tl::unexpected(done.error());
    }
    if (i + 1 < segments_.size()) {
      held = std::move(out);
      made.text = held.view();
    } else {
      made.text = out.view();
    }
    in = &made;
  }
  return in;
}

// A record that became several and lost one of them later is a dead letter as a whole: nothing of it goes
// out.
const ProcessorStage::Lines* ProcessorStage::leave_out_torn(const Lines* made, Buffer& out) {
  auto before = [](const Rejected& a, const Rejected& b) { return a.input < b.input; };
  auto lost = [&](std::uint32_t input) {
    return std::binary_search(rejected_.begin(), rejected_.end(), Rejected{input, 0, {}}, before);
  };
  if (rejected_.empty() || std::none_of(made->inputs.begin(), made->inputs.end(), lost)) return made;
  Buffer whole = payloads_->payload(out.size());
  Lines& kept = lines_[segments_.size() % 2];
  kept.clear();
  std::uint32_t begin = 0;
  for (std::size_t i = 0; i < made->ends.size(); ++i) {
    if (!lost(made->inputs[i])) {
      whole.append(out.data() + begin, made->ends[i] + 1 - begin);
      kept.add(static_cast<std::uint32_t>(whole.size() - 1), made->inputs[i]);
    }
    begin = made->ends[i] + 1;
  }
  out = std::move(whole);
  return &kept;
}

// The records of a batch, where they come from, and what they may become.
void ProcessorStage::take_in(const proto::Batch& batch, Lines& records) {
  const proto::Header& header = batch.header();
  records.text = batch.records();
  batch.table(origins_);
  rejected_.clear();
  for (std::size_t begin = 0; begin < records.text.size();) {
    std::size_t end = std::min(records.text.find('\n', begin), records.text.size());
    const auto input = static_cast<std::uint32_t>(records.ends.size());
    // Without a table they are consecutive lines, and nothing has left the batch.
    if (header.table_entries == 0) origins_.push_back({{input, static_cast<std::uint32_t>(begin)}, input});
    records.add(static_cast<std::uint32_t>(end), input);
    begin = end + 1;
  }
  LEAT_CHECK(origins_.size() == records.ends.size(), "a table of a batch with other records");
  carried_.clear();
  if (!batch.rejects().empty()) {
    carried_.resize(origins_.size() + 1);
    std::size_t input = 0;
    std::size_t bytes = 0;
    auto decoded = proto::decode_rejects(batch.rejects(), [&](const proto::Reject& reject) {
      for (; input < origins_.size() && origins_[input].origin.line_delta <= reject.origin.line_delta;
           ++input) {
        carried_[input] = bytes;
      }
      bytes += proto::encoded_bytes(reject);
    });
    LEAT_CHECK(decoded.has_value(), decoded.error().text);
    for (; input <= origins_.size(); ++input) carried_[input] = bytes;
  }
  grant_ = header.grant == 0 ? std::numeric_limits<std::size_t>::max() : header.grant;
  cut_ = static_cast<std::uint32_t>(origins_.size());
  wanted_ = made_ = 0;
}

// The counts of what is in front of the cut.
proto::Header ProcessorStage::account(const proto::Batch& batch, const Lines& made) const {
  proto::Header header = batch.header();
  if (cut_ < origins_.size()) {
    const proto::TableEntry& first = origins_[cut_];
    header.cut_at(header.first_line - 1 + first.origin.line_delta,
                  header.first_offset + first.origin.offset_delta);
    header.rejected = 0;
    auto decoded = proto::decode_rejects(batch.rejects(), [&](const proto::Reject& reject) {
      if (reject.origin.line_delta < first.origin.line_delta) ++header.rejected;
    });
    LEAT_CHECK(decoded.has_value(), decoded.error().text);
    header.in = first.before;
    header.dropped = header.in - cut_ - header.rejected;
  }
  std::uint32_t passed = 0;
  for (std::size_t i = 0; i < made.inputs.size(); ++i) {
    if (i == 0 || made.inputs[i] != made.inputs[i - 1]) ++passed;
  }
  auto rejected = static_cast<std::uint32_t>(rejected_.size());
  header.kept = passed;
  header.rejected += rejected;
  header.dropped += cut_ - passed - rejected;
  header.out = static_cast<std::uint32_t>(made.ends.size());
  return header;
}

Result<proto::Batch> ProcessorStage::transform(proto::Batch batch) {
  Lines records;
  take_in(batch, records);
  record_ends_ = records.ends;
  mark_.batch(batch.header().source, batch.header().first_offset);
  Buffer out;
  auto ran = run_segments(records, out);
  mark_.none();
  if (!ran) return tl::unexpected(ran.error());
  sort_rejected();
  while (!rejected_.empty() && rejected_.back().input >= cut_) rejected_.pop_back();
  const Lines* made = leave_out_torn(*ran, out);

  proto::Header header = account(batch, *made);
  std::string_view rejects = batch.rejects();
  if (!rejected_.empty() || (!rejects.empty() && cut_ < origins_.size())) {
    merge_rejects(batch, records);
    rejects = rejects_.view();
  }
  made_ = std::max(made_, out.size() + rejects.size());
  header.made =
      static_cast<std::uint32_t>(header.in == 0 ? wanted_ : std::max<std::size_t>(header.made, made_));
  return proto::Batch::seal(header, std::move(out), {}, rejects);
}

}  // namespace leat::processor
