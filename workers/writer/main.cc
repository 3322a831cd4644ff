// leat-writer: puts batches back in order and writes them, whole files at a time, each record once.
//
// Reads   batches of records from the processors (or filters), in any order
// Writes  outputs under temporary names, then renames them; the dead-letter file; the ledger; positions to the reader
// Never   opens a source, replaces a file it was not told to (--force), shows a half-written one, believes what is not
//         committed: whatever has ended the writer before it, outputs are cut back to what the ledger says
// Fails   mount away, ledger or output locked: waits, and says for what. No room, no permission, the target exists, less
//         there than was committed: exits 74 or 78; what is committed stays for the next run
// Gaps    what it holds out of order is bounded by the reader's window, not by itself; a temporary whose {date} has passed
//         before its first commit stays behind when the writer is killed

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <limits>
#include <optional>
#include <type_traits>

#include "proto/flow.h"
#include "workers/ledger/ledger.h"
#include "workers/ledger/state_folder.h"
#include "workers/stage/test_hook.h"
#include "workers/stage/worker.h"
#include "workers/writer/reorder.h"
#include "workers/writer/sandbox.h"
#include "workers/writer/stage.h"

namespace {

using leat::ledger::Ledger;
using leat::ledger::WriterLock;
using leat::proto::Batch;
using leat::stage::Activity;
using leat::stage::value_or_fatal;
using leat::stage::Worker;
using leat::writer::WriterStage;
using std::chrono::milliseconds;
using Clock = std::chrono::steady_clock;

// While a mount or the reader of a FIFO is not there yet; the lock of a writer that was just killed is free soon.
constexpr milliseconds kStartAgain{500};
constexpr milliseconds kStartAgainSoon{10};
constexpr milliseconds kTick{1'000};
constexpr milliseconds kQuiet{100};  // told to finish: what was sent has come when nothing has for so long
constexpr int kAcceptedHighWaterMark = 1024;
constexpr int kBatchesPerAnswer = 4;  // the reader hears at least that often

// Calls until it does not fail with what passes by itself, and says on the page what it waits for; nullopt: told to
// leave.
template <class Call>
auto patiently(Worker& worker, Call call) -> std::optional<typename decltype(call())::value_type> {
  for (milliseconds pause = kStartAgainSoon;; pause = std::min(pause * 2, kStartAgain)) {
    auto result = call();
    if (result) {
      worker.page().set_text("");
      return std::optional(*std::move(result));
    }
    if (result.error().fault != leat::Fault::kRetry) throw leat::stage::Fatal(std::move(result.error()));
    worker.page().set_text(result.error().text);
    leat::proto::Poller poller;
    worker.add_to(poller);
    poller.wait(pause);
    worker.look_for_stop();
    if (worker.leaving()) return std::nullopt;
  }
}

leat::writer::RunOptions options_of(const leat::proto::Welcome& welcome) {
  return {.run = welcome.run,
          .force = welcome.force,
          .daemon = welcome.daemon,
          .follow = welcome.follow,
          .fresh = welcome.fresh,
          .accept_changes = welcome.accept_changes,
          .fingerprint = welcome.fingerprint,
          .reread = welcome.reread};
}

// Tells the reader how far the output has come.
class Answers {
 public:
  Answers(Worker& worker, std::uint64_t epoch)
      : socket_(worker.context(), leat::proto::SocketKind::kPush, kAcceptedHighWaterMark) {
    message_.epoch = epoch;
    socket_.connect(worker.welcome().accepted);
  }
  void applied(const Batch& batch) {
    const leat::proto::Header& header = batch.header();
    if (header.kind == leat::proto::BatchKind::kRecords) measure(header);
    ++unsent_;
    if (header.cut()) {
      // The reader must send the rest of it, and all others wait for that.
      message_.part = header.part + 1;
      message_.wanted = header.in == 0 ? header.made : 0;
      message_.cut_line = header.end_line;
      message_.cut_offset = header.end_offset;
      return send();
    }
    message_.accepted = header.sequence;
    message_.part = message_.wanted = 0;
    message_.cut_line = message_.cut_offset = 0;
    if (unsent_ >= kBatchesPerAnswer) send();
  }
  void committed() {
    if (message_.committed == message_.accepted) return;
    message_.committed = message_.accepted;
    ++unsent_;
  }
  void send() {
    if (unsent_ == 0) return;
    leat::proto::Message message = encode(message_);
    // Cumulative: what does not go through now is in the next one.
    if (!socket_.try_send(message)) return;
    unsent_ = 0;
    message_.growth = 0;
  }

 private:
  void measure(const leat::proto::Header& header) {
    message_.process_us = header.process_us;
    message_.records = header.in;
    message_.input_bytes = header.end_offset - header.first_offset;
    if (header.in == 0 || message_.input_bytes == 0) return;
    const std::uint64_t growth = std::uint64_t{header.made} * 1000 / message_.input_bytes;
    message_.growth =
        std::max(message_.growth, static_cast<std::uint32_t>(std::min<std::uint64_t>(growth, kMost)));
  }

  static constexpr std::uint64_t kMost = std::numeric_limits<std::uint32_t>::max();
  leat::proto::Socket socket_;
  leat::proto::Accepted message_;
  int unsent_ = 0;
};

void book(leat::stage::Page& page, const WriterStage& stage) {
  const auto& totals = stage.run().counts;
  page.records_in = totals.in;
  page.kept = totals.kept;
  page.dropped = totals.dropped;
  page.rejected = totals.dead;
  page.records_out = totals.out;
  page.bytes_out = totals.out_bytes;
  page.commits = stage.commits();
}

// Receives until the end of the input has been applied, or until told to leave.
class Loop {
 public:
  Loop(Worker& worker, WriterStage& stage, std::uint64_t epoch, leat::proto::Socket& input, Answers& answers)
      : worker_(worker), stage_(stage), epoch_(epoch), input_(input), answers_(answers) {
    poller_.add(input);
    worker.add_to(poller_);
  }

  void run() {
    while (!worker_.leaving() && !stage_.ended()) {
      if (!receive()) stage_.stop();
      while (auto batch = reorder_.pop()) {
        worker_.page()->sequence = batch->header().sequence;
        commit_before_parts(batch->header());
        hook_.look_at(batch->records());
        value_or_fatal(stage_.apply(*batch));
        answers_.applied(*batch);
        if (may_commit() && stage_.commit_due()) commit();
      }
      book(*worker_.page(), stage_);
      auto now = Clock::now();
      value_or_fatal(stage_.tick(now));
      if (may_commit() && (stage_.commit_due() || now - committed_at_ >= interval_)) commit();
    }
  }

  bool ended_within_a_batch() const { return !may_commit(); }

 private:
  // False: told to finish, and nothing has come for a while.
  bool receive() {
    auto message = input_.try_receive();
    if (!message) {
      answers_.send();
      worker_.page().enter(Activity::kIdle);
      bool finishing = worker_.finishing();
      milliseconds tick = stage_.pending() ? std::min(kTick, interval_) : kTick;
      bool came = poller_.wait(finishing ? kQuiet : tick);
      worker_.look_for_stop();
      return came || !finishing;
    }
    worker_.look_now_and_then();
    worker_.page().enter(Activity::kBusy);
    auto batch = Batch::decode(std::move(*message), worker_.max_message_bytes());
    if (!batch) {
      // Damaged, or its payload went with the worker that made it: the reader sees the gap and sends it again.
      worker_.warn(fmt::format("a batch was refused: {}", batch.error().text));
      return true;
    }
    bool ours = batch->header().epoch == epoch_ && batch->header().pipeline == worker_.pipeline_id();
    if (ours) reorder_.push(*std::move(batch));
    return true;
  }

  // In the middle of a sequence number nothing says how its source's position could be known again. So what comes before it
  // is committed, or a stop would lose that too.
  bool may_commit() const { return reorder_.part() == 0; }
  void commit_before_parts(const leat::proto::Header& header) {
    if (header.cut() && header.part == 0 && Clock::now() - committed_at_ >= interval_ / 4) commit();
  }

  void commit() {
    // Looking at the clock is no work: the supervisor must see who is idle for long.
    if (stage_.pending()) worker_.page().enter(Activity::kBusy);
    value_or_fatal(stage_.commit());
    answers_.committed();
    committed_at_ = Clock::now();
  }

  Worker& worker_;
  WriterStage& stage_;
  std::uint64_t epoch_;
  leat::proto::Socket& input_;
  Answers& answers_;
  leat::proto::Poller poller_;
  leat::writer::Reorder reorder_;
  leat::stage::TestHook hook_{leat::proto::Stage::kWriter};
  milliseconds interval_ = worker_.pipeline().limits.commit_interval;
  Clock::time_point committed_at_ = Clock::now();
};

// A stage that goes on from what the ledger says; what was in `stage` is let go first. Its epoch; nullopt: told to leave.
std::optional<std::uint64_t> begin(Worker& worker, Ledger& ledger, std::optional<WriterStage>& stage) {
  stage.reset();
  stage.emplace(worker.pipeline(), ledger, options_of(worker.welcome()),
                [&worker](const std::string& text) { worker.warn(text); });
  auto epoch = patiently(worker, [&] { return stage->begin(); });
  if (!epoch) return std::nullopt;
  auto recovered = patiently(worker, [&]() -> leat::Result<bool> {
    auto done = stage->recover();
    return done ? leat::Result<bool>(true) : tl::unexpected(done.error());
  });
  if (!recovered) return std::nullopt;
  return epoch;
}

void work(Worker& worker) {
  const auto& welcome = worker.welcome();
  // A writer of before that hangs in a system call is not dead: nothing is touched until its lock is free.
  auto lock = patiently(worker, [&] { return WriterLock::try_take(welcome.state); });
  if (!lock) return;
  auto ledger = patiently(worker, [&] {
    return Ledger::open(welcome.state, worker.pipeline().name,
                        std::filesystem::absolute(welcome.pipeline_file).lexically_normal().string());
  });
  if (!ledger) return;
  std::optional<WriterStage> stage;
  auto epoch = begin(worker, *ledger, stage);
  if (!epoch) return;
  worker.page()->epoch = *epoch;

  leat::proto::Socket input(worker.context(), leat::proto::SocketKind::kPull,
                            static_cast<int>(welcome.window_batches) + 8, worker.max_message_bytes());
  input.bind(welcome.input);
  Answers answers(worker, *epoch);
  book(*worker.page(), *stage);
  worker.ready(fmt::format("{{\"epoch\":{}}}", *epoch));

  Loop loop(worker, *stage, *epoch, input, answers);
  loop.run();
  if (!stage->ended()) return;  // told to leave at once: what is not committed comes again
  if (loop.ended_within_a_batch() && !welcome.volatile_state) {
    // What was taken of it cannot be kept without the rest: as after a death, the outputs go back to the last commit.
    if (!begin(worker, *ledger, stage)) return;
    stage->stop();
  }
  value_or_fatal(stage->finish());
  answers.committed();
  answers.send();
  book(*worker.page(), *stage);
  worker.done(value_or_fatal(stage->summary_json()));
  worker.wait_to_leave();
}

}  // namespace

int main(int argc, char** argv) {
  return leat::stage::run_worker({leat::proto::Stage::kWriter, {}, leat::writer::sandbox, work}, argc, argv);
}
