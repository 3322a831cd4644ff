// The processor's work on one batch: each record goes through the steps, in order.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <variant>
#include <vector>

#include "config/pipeline.h"
#include "proto/base/result.h"
#include "proto/batch.h"
#include "proto/payload_pool.h"
#include "workers/processor/exec.h"
#include "workers/processor/steps.h"
#include "workers/stage/json/index.h"
#include "workers/stage/page.h"
#include "workers/stage/test_hook.h"

namespace leat::processor {

class ProcessorStage {
 public:
  struct Callbacks {
    std::function<void(const std::string&)> on_warning;
    Exec::ShouldStop should_stop;  // asked while a child is waited for
  };

  // Compiles the steps and starts the children of exec steps; fails as Steps::compile and Exec::start do. The
  // payloads must outlive it.
  [[nodiscard]] static Result<ProcessorStage> make(const config::Pipeline& pipeline,
                                                   const proto::PayloadPool& payloads, Callbacks callbacks);

  // Records in, what the steps make of them out, in order; those that no step can work on become rejects,
  // with the bytes they came in with. What does not fit the batch's grant is cut off. Fails as Exec::run does.
  [[nodiscard]] Result<proto::Batch> transform(proto::Batch batch);

  // Where the record at work is noted, should one kill.
  void note_records(stage::RecordMark mark) { mark_ = mark; }

 private:
  // Lines between two steps: each made from one record of the batch.
  struct Lines {
    std::string_view text;              // every line ended by '\n', kTailPadding readable bytes behind
    std::vector<std::uint32_t> ends;    // of each line, without its '\n'
    std::vector<std::uint32_t> inputs;  // which record of the batch it comes from, ascending
    void clear();
    void add(std::uint32_t end, std::uint32_t input);
  };
  struct Rejected {
    std::uint32_t input;
    int attempts;
    std::string reason;
  };
  using Segment = std::variant<Steps, std::unique_ptr<Exec>>;

  class Meter;

  ProcessorStage(const proto::PayloadPool& payloads, Callbacks callbacks, std::size_t max_result_bytes)
      : payloads_(&payloads), callbacks_(std::move(callbacks)), max_result_bytes_(max_result_bytes) {}
  void take_in(const proto::Batch& batch, Lines& records);
  std::size_t reject_bytes(const Rejected& rejected) const;
  proto::Header account(const proto::Batch& batch, const Lines& made) const;
  void run_steps(Steps& steps, const Lines& in, Buffer& bytes, Lines& out);
  [[nodiscard]] Result<void> run_exec(Exec& exec, const Lines& in, Buffer& bytes, Lines& out);
  [[nodiscard]] Result<const Lines*> run_segments(const Lines& records, Buffer& out);
  const Lines* leave_out_torn(const Lines* made, Buffer& out);
  void merge_rejects(const proto::Batch& batch, const Lines& records);
  void sort_rejected();

  const proto::PayloadPool* payloads_;
  Callbacks callbacks_;
  std::vector<Segment> segments_;  // runs of steps, and exec steps between them
  json::Index index_;
  Lines lines_[2];
  std::vector<Rejected> rejected_;
  Buffer rejects_;
  std::string reason_;
  std::size_t max_result_bytes_;            // of one record
  std::vector<proto::TableEntry> origins_;  // of each record of the batch
  // bytes of the rejects that came with the batch, before each record and behind all; none
  // came: empty
  std::vector<std::size_t> carried_;
  std::span<const std::uint32_t> record_ends_;  // of each record of the batch, in its text
  std::size_t grant_ = 0;
  std::uint32_t cut_ = 0;   // the first record that does not fit; the number of records: all do
  std::size_t wanted_ = 0;  // what that one needs
  std::size_t made_ = 0;    // the most that a segment has made
  stage::RecordMark mark_;
  stage::TestHook hook_{proto::Stage::kProcessor};
};

}  // namespace leat::processor
