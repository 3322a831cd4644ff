// The writer's work: batches in sequence become records in the sink, lines in the dead-letter file and rows in the
// ledger.
//
//   begin     a new epoch; what is to be done once a run
//   recover   what an earlier writer has left half done, until it succeeds
//   apply     a batch: in memory and in buffers
//   commit    everything applied is on the disk and in the ledger, together
//   finish    after the last batch
//
// How a commit is safe to be killed in: outputs and dead letters are flushed and synced first, then one transaction moves
// places and lengths together, then outputs that are complete in it get their names, and the next transaction says so.
// What a later writer finds in between is put right by recovery.h and DeadLetters::start.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "config/pipeline.h"
#include "proto/base/result.h"
#include "proto/batch.h"
#include "proto/run_summary.h"
#include "proto/source_event.h"
#include "workers/ledger/ledger.h"
#include "workers/writer/begin.h"
#include "workers/writer/dead_letters.h"
#include "workers/writer/sink.h"
#include "workers/writer/sources.h"

namespace leat::writer {

class WriterStage {
 public:
  using OnWarning = std::function<void(const std::string&)>;

  // pipeline, ledger: borrowed for the life of this. The caller holds the writer's lock.
  WriterStage(const config::Pipeline& pipeline, ledger::Ledger& ledger, RunOptions options,
              OnWarning on_warning);

  // Returns the epoch, which all batches must be of. Fails as begin_run does.
  [[nodiscard]] Result<std::uint64_t> begin();

  // Before anything is read; ends with a commit if something was put right. kRetry: ask again.
  [[nodiscard]] Result<void> recover();

  // The next batch in sequence. Any failure ends the writer; kFatal with exit code 70: its counts do not add up; kRetry:
  // a new writer may have more luck.
  [[nodiscard]] Result<void> apply(const proto::Batch& batch);
  [[nodiscard]] Result<void> tick(Sink::Clock::time_point now) { return sink_.tick(now); }

  // Everything applied so far is durable. Costs nothing if there is nothing new.
  [[nodiscard]] Result<void> commit();
  bool pending() const;     // a commit would do something
  bool commit_due() const;  // and should not wait for its time: limits.commit.bytes, outputs that wait
  std::uint64_t commits() const { return commits_; }

  // Nothing more will come, though the input has not ended.
  void stop() {
    summary_.stopped = true;
    ended_ = true;
  }
  bool ended() const { return ended_; }  // the end of the input has been applied
  // After ended(): commits, and publishes: everything; of an input that was stopped early, only what belongs to whole
  // sources, and following, what the next one adds to under another {n}.
  [[nodiscard]] Result<void> finish();

  const ledger::Run& run() const { return run_; }    // with what is not committed yet
  [[nodiscard]] Result<std::string> summary_json();  // the details of the writer's last report

 private:
  [[nodiscard]] Result<void> apply_records(const proto::Batch& batch);
  [[nodiscard]] Result<void> apply_rejects(const proto::Batch& batch, const std::string& path);
  [[nodiscard]] Result<void> on(const proto::Header& header, const proto::SourceOpened& event);
  [[nodiscard]] Result<void> on(const proto::Header& header, const proto::SourceEnded& event);
  [[nodiscard]] Result<void> on(const proto::Header& header, const proto::SourceFailed& event);
  [[nodiscard]] Result<void> on(const proto::Header& header, const proto::SourceChanged& event);
  [[nodiscard]] Result<void> on(const proto::Header& header, const proto::SourceMoved& event);
  [[nodiscard]] Result<void> on(const proto::Header& header, const proto::SourceFinished& event);
  [[nodiscard]] Result<void> on(const proto::Header& header, const proto::SourcesScanned& part);
  [[nodiscard]] Result<void> on(const proto::Header& header, const proto::InputRead& event);
  [[nodiscard]] Result<void> on(const proto::Header& header, const proto::EndOfInput& event);
  [[nodiscard]] Result<void> publish_all();
  void warn_of(const std::string& path, const std::string& reason);
  void report_loss(const DeadLetter& letter);
  void report_staying(const std::string& path);
  [[nodiscard]] Result<void> check_sums();
  [[nodiscard]] Result<void> report_missing();
  [[nodiscard]] Result<void> recall_published();
  void collect_published();
  void list(proto::RunSummary::Output output);  // in the summary

  const config::Pipeline& pipeline_;
  ledger::Ledger& ledger_;
  RunOptions options_;
  OnWarning on_warning_;
  Sink sink_;
  std::unique_ptr<DeadLetters> dead_letters_;
  ledger::Run run_;
  Sources sources_;
  ledger::Presence presence_;  // not committed yet
  proto::RunSummary summary_;
  std::uint64_t commits_ = 0;
  std::uint64_t done_at_begin_ = 0;  // sources that this run had done in earlier epochs
  bool whole_before_ = false;        // the run before has committed all that it wrote
  bool run_changed_ = false;
  bool reported_loss_ = false;
  bool reported_staying_ = false;
  bool input_read_ = false;  // all is published, and the reader does not know yet
  bool ended_ = false;
};

}  // namespace leat::writer
