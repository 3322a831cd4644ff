#include "workers/processor/stage.h"

#include <algorithm>
#include <cstring>
#include <span>
#include <utility>

// Steps are cut into segments at each exec, and the whole batch goes through one segment after the other: so
// a child always has many records before it, and the structure of a batch is indexed once a segment, not once
// a record.

namespace leat::processor {

namespace {

// Where a record of the batch came from: from the table, or, without one, by its place in the run of lines.
proto::Origin origin_of(const proto::Batch& batch, std::uint32_t input, std::size_t begin) {
  if (batch.header().table_entries != 0) return batch.origin(input);
  return {input, static_cast<std::uint32_t>(begin)};
}

}  // namespace

void ProcessorStage::Lines::clear() {
  ends.clear();
  inputs.clear();
}

void ProcessorStage::Lines::add(std::uint32_t end, std::uint32_t input) {
  ends.push_back(end);
  inputs.push_back(input);
}

Result<ProcessorStage> ProcessorStage::make(const config::Pipeline& pipeline, Callbacks callbacks) {
  ProcessorStage stage(std::move(callbacks));
  std::span<const config::Step> steps = pipeline.process.steps;
  while (!steps.empty()) {
    if (steps.front().op == config::Step::Op::kExec) {
      config::Step step = steps.front();
      step.timeout = std::min(step.timeout, pipeline.process.timeout);
      auto exec = std::make_unique<Exec>(step, pipeline.base_dir, pipeline.source.max_record_bytes,
                                         stage.callbacks_.on_warning);
      if (auto started = exec->start(); !started) return tl::unexpected(started.error());
      stage.segments_.emplace_back(std::move(exec));
      steps = steps.subspan(1);
      continue;
    }
    auto end = std::find_if(steps.begin(), steps.end(),
                            [](const config::Step& step) { return step.op == config::Step::Op::kExec; });
    auto run = steps.first(static_cast<std::size_t>(end - steps.begin()));
    auto compiled = Steps::compile(run);
    if (!compiled) return tl::unexpected(compiled.error());
    stage.segments_.emplace_back(*std::move(compiled));
    steps = steps.subspan(run.size());
  }
  return stage;
}

void ProcessorStage::run_steps(Steps& steps, const Lines& in, Buffer& bytes, Lines& out) {
  bool indexed = index_.build(in.text) == json::IndexFault::kNone;
  std::span<const std::uint32_t> positions = index_.positions();
  std::size_t at = 0;
  std::uint32_t begin = 0;
  for (std::size_t i = 0; i < in.ends.size(); ++i) {
    std::uint32_t end = in.ends[i];
    std::size_t first = at;
    while (at < positions.size() && positions[at] < end) ++at;
    mark_.record(offsets_[in.inputs[i]]);
    hook_.look_at(in.text.substr(begin, end - begin));
    if (!indexed) {
      // The filter and the child's reader have checked every record, so this is damage on the way.
      rejected_.push_back({in.inputs[i], 1, "not valid JSON when it reached the steps"});
    } else if (steps.apply(in.text, begin, end, positions.subspan(first, at - first), bytes, reason_)) {
      out.add(static_cast<std::uint32_t>(bytes.size()), in.inputs[i]);
      bytes.push_back('\n');
    } else {
      rejected_.push_back({in.inputs[i], 1, reason_});
    }
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
  if (!in.inputs.empty()) mark_.record(offsets_[in.inputs.front()]);
  auto on_result = [&](std::size_t index, const ExecResult& result) {
    if (index + 1 < in.inputs.size()) mark_.record(offsets_[in.inputs[index + 1]]);
    if (result.kind == ExecResult::Kind::kRejected) {
      rejected_.push_back({in.inputs[index], result.attempts, std::string(result.reason)});
      return;
    }
    std::string_view left = result.kind == ExecResult::Kind::kRecords ? result.bytes : std::string_view{};
    while (!left.empty()) {
      std::size_t length = left.find('\n');
      bytes.append(left.substr(0, length + 1));
      out.add(static_cast<std::uint32_t>(bytes.size() - 1), in.inputs[index]);
      left.remove_prefix(length + 1);
    }
  };
  auto ran = exec.run(records, on_result, callbacks_.should_stop);
  mark_.guarded(false);
  return ran;
}

// Rejects leave in the order of their lines, wherever they were made.
void ProcessorStage::merge_rejects(const proto::Batch& batch, const Lines& records) {
  rejects_.clear();
  auto next = rejected_.begin();
  auto put_own = [&] {
    std::uint32_t begin = next->input == 0 ? 0 : records.ends[next->input - 1] + 1;
    proto::Reject reject;
    reject.origin = origin_of(batch, next->input, begin);
    reject.stage = proto::Stage::kProcessor;
    reject.attempts = static_cast<std::uint8_t>(std::min(next->attempts, 255));
    reject.reason = next->reason;
    reject.record = records.text.substr(begin, records.ends[next->input] - begin);
    proto::encode_reject(rejects_, reject);
    ++next;
  };
  auto origin = [&](const Rejected& rejected) {
    return origin_of(batch, rejected.input, rejected.input == 0 ? 0 : records.ends[rejected.input - 1] + 1);
  };
  // The section was checked when the batch was made by the filter; damage would have failed the message's
  // checks.
  auto decoded = proto::decode_rejects(batch.rejects(), [&](const proto::Reject& reject) {
    while (next != rejected_.end() && origin(*next).line_delta < reject.origin.line_delta) put_own();
    proto::encode_reject(rejects_, reject);
  });
  LEAT_CHECK(decoded.has_value(), decoded.error().text);
  while (next != rejected_.end()) put_own();
}

// Runs the segments one after the other. The lines that come out are in `out`.
Result<const ProcessorStage::Lines*> ProcessorStage::run_segments(const Lines& records, Buffer& out) {
  const Lines* in = &records;
  Buffer held;  // what *in points into, from the second segment on
  for (std::size_t i = 0; i < segments_.size(); ++i) {
    Lines& made = lines_[i % 2];
    made.clear();
    out = Buffer(in->text.size() + in->text.size() / 16 + 256, proto::kHeaderBytes);
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
  auto same = [](const Rejected& a, const Rejected& b) { return a.input == b.input; };
  std::stable_sort(rejected_.begin(), rejected_.end(), before);
  rejected_.erase(std::unique(rejected_.begin(), rejected_.end(), same), rejected_.end());
  auto lost = [&](std::uint32_t input) {
    return std::binary_search(rejected_.begin(), rejected_.end(), Rejected{input, 0, {}}, before);
  };
  if (rejected_.empty() || std::none_of(made->inputs.begin(), made->inputs.end(), lost)) return made;
  Buffer whole(out.size(), proto::kHeaderBytes);
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

Result<proto::Batch> ProcessorStage::transform(proto::Batch batch) {
  Lines records;
  records.text = batch.records();
  for (std::size_t begin = 0; begin < records.text.size();) {
    std::size_t end = std::min(records.text.find('\n', begin), records.text.size());
    records.add(static_cast<std::uint32_t>(end), static_cast<std::uint32_t>(records.ends.size()));
    begin = end + 1;
  }
  rejected_.clear();
  offsets_.clear();
  for (std::uint32_t input = 0; input < records.ends.size(); ++input) {
    offsets_.push_back(origin_of(batch, input, input == 0 ? 0 : records.ends[input - 1] + 1).offset_delta);
  }
  mark_.batch(batch.header().source, batch.header().first_offset);
  Buffer out;
  auto ran = run_segments(records, out);
  mark_.none();
  if (!ran) return tl::unexpected(ran.error());
  const Lines* made = leave_out_torn(*ran, out);

  std::uint32_t passed = 0;
  for (std::size_t i = 0; i < made->inputs.size(); ++i) {
    if (i == 0 || made->inputs[i] != made->inputs[i - 1]) ++passed;
  }
  proto::Header header = batch.header();
  auto came = static_cast<std::uint32_t>(records.ends.size());
  auto rejected = static_cast<std::uint32_t>(rejected_.size());
  header.kept = passed;
  header.rejected += rejected;
  header.dropped += came - passed - rejected;
  header.out = static_cast<std::uint32_t>(made->ends.size());
  if (rejected == 0) return proto::Batch::seal(header, std::move(out), {}, batch.rejects());
  merge_rejects(batch, records);
  return proto::Batch::seal(header, std::move(out), {}, rejects_.view());
}

}  // namespace leat::processor
