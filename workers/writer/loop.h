// The writer's loop: puts batches back in order, applies them, commits when that is due and tells the reader.
#pragma once

#include <chrono>
#include <cstdint>

#include "proto/batch.h"
#include "proto/channel.h"
#include "workers/stage/test_hook.h"
#include "workers/stage/worker.h"
#include "workers/writer/acks.h"
#include "workers/writer/reorder.h"
#include "workers/writer/stage.h"

namespace leat::writer {

// The counts of the run, for the page.
void book(stage::Page& page, const WriterStage& stage);

class Loop {
 public:
  Loop(stage::Worker& worker, WriterStage& stage, std::uint64_t epoch, proto::Socket& input, Acks& acks);

  // Receives until the end of the input has been applied, or until asked to leave. Throws stage::Fatal as the stage fails.
  void run();
  bool ended_within_a_batch() const { return !may_commit(); }

 private:
  using Clock = std::chrono::steady_clock;

  bool receive();
  // In the middle of a sequence number nothing says how its source's position could be known again. So what comes before it
  // is committed, or a stop would lose that too.
  bool may_commit() const { return reorder_.part() == 0; }
  void commit_before_parts(const proto::Header& header);
  void commit();

  stage::Worker& worker_;
  WriterStage& stage_;
  std::uint64_t epoch_;
  proto::Socket& input_;
  Acks& acks_;
  proto::Poller poller_;
  Reorder reorder_;
  stage::TestHook hook_{proto::Stage::kWriter};
  std::chrono::milliseconds interval_ = worker_.pipeline().limits.commit_interval;
  Clock::time_point committed_at_ = Clock::now();
};

}  // namespace leat::writer
