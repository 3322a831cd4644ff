// leat-writer: puts batches back in order and writes them, whole files at a time.
//
// Reads   batches of records from the processors (or filters), in any order
// Writes  outputs under temporary names, then renames them; the dead-letter file; positions to the reader
// Never   opens a source, replaces a file it was not told to (--force), shows a half-written one
// Fails   no room, no permission, the target exists: exits 74 or 78 and removes its temporary files
// Gaps    what it holds out of order is bounded by the reader's window, not by itself

#include <algorithm>
#include <chrono>

#include "proto/flow.h"
#include "workers/stage/worker.h"
#include "workers/writer/reorder.h"
#include "workers/writer/stage.h"

namespace {

using leat::proto::Batch;
using leat::stage::Activity;
using leat::stage::value_or_fatal;
using leat::stage::Worker;
using leat::writer::WriterStage;
using std::chrono::milliseconds;
using Clock = std::chrono::steady_clock;

constexpr milliseconds kStartAgain{500};  // while a mount or the reader of a FIFO is not there yet
constexpr milliseconds kTick{1'000};
constexpr int kAcceptedHighWaterMark = 1024;
constexpr int kBatchesPerAnswer = 4;  // the reader hears at least that often

// Waits for what may come by itself; false: told to leave.
bool start(Worker& worker, WriterStage& stage) {
  for (;;) {
    auto checked = stage.check_start();
    if (checked) return true;
    if (checked.error().fault != leat::Fault::kRetry) throw leat::stage::Fatal(checked.error());
    worker.page().set_text(checked.error().text);
    leat::proto::Poller poller;
    worker.add_to(poller);
    poller.wait(kStartAgain);
    worker.look_for_stop();
    if (worker.leaving()) return false;
  }
}

// Tells the reader how far the output has come.
class Answers {
 public:
  explicit Answers(Worker& worker)
      : epoch_(worker.welcome().epoch + 1),
        socket_(worker.context(), leat::proto::SocketKind::kPush, kAcceptedHighWaterMark) {
    socket_.connect(worker.welcome().accepted);
  }
  void applied(const Batch& batch) {
    message_.epoch = epoch_;
    message_.accepted = batch.header().sequence;
    message_.process_us = batch.header().process_us;
    message_.records = batch.header().in;
    if (++unsent_ >= kBatchesPerAnswer) send();
  }
  void committed() { message_.committed = message_.accepted; }
  void send() {
    if (unsent_ == 0) return;
    leat::proto::Message message = encode(message_);
    // Cumulative: what does not go through now is in the next one.
    if (socket_.try_send(message)) unsent_ = 0;
  }

 private:
  std::uint64_t epoch_;
  leat::proto::Socket socket_;
  leat::proto::Accepted message_;
  int unsent_ = 0;
};

void book(leat::stage::Page& page, const WriterStage& stage) {
  const auto& totals = stage.totals();
  page.records_in = totals.in;
  page.kept = totals.kept;
  page.dropped = totals.dropped;
  page.rejected = totals.dead;
  page.records_out = totals.out;
  page.bytes_out = totals.out_bytes;
}

// Receives until the end of the input has been written, or until told to leave.
void write_all(Worker& worker, WriterStage& stage, leat::proto::Socket& input, Answers& answers) {
  leat::writer::Reorder reorder;
  leat::proto::Poller poller;
  poller.add(input);
  worker.add_to(poller);
  const auto& limits = worker.pipeline().limits;
  auto committed_at = Clock::now();
  while (!worker.leaving() && !stage.ended()) {
    auto message = input.try_receive();
    if (!message) {
      answers.send();
      worker.page().enter(Activity::kIdle);
      poller.wait(std::min(kTick, limits.commit_interval));
      worker.look_for_stop();
    }
    worker.look_now_and_then();
    worker.page().enter(Activity::kBusy);
    if (message) {
      Batch batch = value_or_fatal(Batch::decode(std::move(*message), worker.max_message_bytes()));
      bool ours =
          batch.header().epoch == worker.welcome().epoch + 1 && batch.header().pipeline == worker.pipeline_id();
      if (ours) reorder.push(std::move(batch));
    }
    while (auto batch = reorder.pop()) {
      worker.page()->sequence = batch->header().sequence;
      value_or_fatal(stage.apply(*batch));
      answers.applied(*batch);
    }
    book(*worker.page(), stage);
    auto now = Clock::now();
    value_or_fatal(stage.tick(now));
    if (now - committed_at >= limits.commit_interval || stage.uncommitted_bytes() >= limits.commit_bytes) {
      value_or_fatal(stage.commit());
      answers.committed();
      committed_at = Clock::now();
    }
  }
}

void work(Worker& worker) {
  WriterStage stage(worker.pipeline(), worker.welcome().force,
                    [&](const std::string& text) { worker.warn(text); });
  if (!start(worker, stage)) return;
  leat::proto::Socket input(worker.context(), leat::proto::SocketKind::kPull,
                            static_cast<int>(worker.welcome().window_batches) + 8,
                            worker.max_message_bytes());
  input.bind(worker.welcome().input);
  Answers answers(worker);
  worker.ready();

  write_all(worker, stage, input, answers);
  if (!stage.ended()) return;  // the sink removes its temporary files
  value_or_fatal(stage.finish());
  book(*worker.page(), stage);
  answers.send();
  worker.done(stage.summary_json());
  worker.page().enter(Activity::kIdle);
  leat::proto::Poller poller;
  worker.add_to(poller);
  while (!worker.leaving()) {
    poller.wait(milliseconds(-1));
    worker.look_for_stop();
  }
}

}  // namespace

int main(int argc, char** argv) {
  return leat::stage::run_worker(leat::proto::Stage::kWriter, argc, argv, {}, work);
}
