// The writer's work: batches in sequence become records in the sink and lines in the dead-letter file, and
// are counted.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "config/pipeline.h"
#include "proto/batch.h"
#include "proto/result.h"
#include "workers/writer/dead_letters.h"
#include "workers/writer/sink.h"

namespace leat::writer {

// Records, counted as they were accepted. in = kept + dropped + dead, always.
struct Totals {
  std::uint64_t in = 0;
  std::uint64_t kept = 0;
  std::uint64_t dropped = 0;
  std::uint64_t dead = 0;
  std::uint64_t out = 0;
  std::uint64_t out_bytes = 0;  // uncompressed
  bool adds_up() const { return in == kept + dropped + dead; }
};

class WriterStage {
 public:
  using OnWarning = std::function<void(const std::string&)>;

  // pipeline: borrowed for the life of this.
  WriterStage(const config::Pipeline& pipeline, bool force, OnWarning on_warning);

  // Before anything is read; fails as Sink::check_start and DeadLetters::check_start do.
  [[nodiscard]] Result<void> check_start();

  // The next batch in sequence. Any failure ends the run; kFatal with exit code 70: its counts do not add up.
  [[nodiscard]] Result<void> apply(const proto::Batch& batch);

  // Everything applied so far is on the disk.
  [[nodiscard]] Result<void> commit();
  [[nodiscard]] Result<void> tick(Sink::Clock::time_point now) { return sink_.tick(now); }
  std::uint64_t uncommitted_bytes() const { return sink_.uncommitted_bytes(); }

  bool ended() const { return ended_; }  // the end of the input has been applied
  // After ended(): commits and publishes; of an input that was stopped early, only what belongs to whole
  // sources.
  [[nodiscard]] Result<void> finish();
  void abandon() { sink_.abandon(); }

  const Totals& totals() const { return totals_; }
  std::string summary_json();  // the details of the writer's last report

 private:
  struct Trouble {
    std::string path;
    std::uint64_t offset = 0;
    std::string reason;
  };

  [[nodiscard]] Result<void> apply_records(const proto::Batch& batch);
  [[nodiscard]] Result<void> apply_rejects(const proto::Batch& batch);
  [[nodiscard]] Result<void> apply_event(const proto::Batch& batch);

  const config::Pipeline& pipeline_;
  OnWarning on_warning_;
  Sink sink_;
  std::unique_ptr<DeadLetters> dead_letters_;
  std::map<std::uint64_t, std::string> open_sources_;  // paths
  std::vector<Trouble> failed_;
  std::vector<Trouble> changed_;
  std::vector<Published> published_;
  std::uint64_t sources_done_ = 0;
  std::uint64_t sources_failed_ = 0;
  std::uint64_t sources_changed_ = 0;
  Totals totals_;
  bool told_of_loss_ = false;
  bool ended_ = false;
  bool stopped_ = false;
};

}  // namespace leat::writer
