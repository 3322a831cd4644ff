#include "workers/writer/session.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <optional>
#include <utility>

#include "workers/ledger/ledger.h"
#include "workers/ledger/state_folder.h"
#include "workers/writer/acks.h"
#include "workers/writer/loop.h"
#include "workers/writer/stage.h"

namespace leat::writer {

namespace {

using ledger::Ledger;
using ledger::WriterLock;
using stage::value_or_fatal;
using stage::Worker;
using std::chrono::milliseconds;

// While a mount or the reader of a FIFO is not there yet; the lock of a writer that was just killed is free soon.
constexpr milliseconds kStartAgain{500};
constexpr milliseconds kStartAgainSoon{10};

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
    if (result.error().fault != Fault::kRetry) throw stage::Fatal(std::move(result.error()));
    worker.page().set_text(result.error().text);
    proto::Poller poller;
    worker.add_to(poller);
    poller.wait(pause);
    worker.poll_control();
    if (worker.leaving()) return std::nullopt;
  }
}

RunOptions options_of(const Worker& worker) {
  const auto& orders = *worker.welcome().writer;
  return {.run = orders.run,
          .force = orders.force,
          .daemon = worker.briefing().daemon,
          .follow = worker.briefing().follow,
          .fresh = orders.fresh,
          .accept_changes = orders.accept_changes,
          .fingerprint = orders.fingerprint,
          .reread = orders.reread};
}

// A stage that continues from what the ledger says; what was in `stage` is let go first. Its epoch; nullopt: asked to leave.
std::optional<std::uint64_t> begin(Worker& worker, Ledger& ledger, std::optional<WriterStage>& stage) {
  stage.reset();
  stage.emplace(worker.pipeline(), ledger, options_of(worker),
                [&worker](const std::string& text) { worker.warn(text); });
  auto epoch = patiently(worker, [&] { return stage->begin(); });
  if (!epoch) return std::nullopt;
  auto recovered = patiently(worker, [&]() -> Result<bool> {
    auto done = stage->recover();
    return done ? Result<bool>(true) : tl::unexpected(done.error());
  });
  if (!recovered) return std::nullopt;
  return epoch;
}

}  // namespace

void write_all(Worker& worker) {
  const stage::Surroundings& surroundings = worker.briefing().surroundings;
  // A writer of before that hangs in a system call is not dead: nothing is touched until its lock is free.
  auto lock = patiently(worker, [&] { return WriterLock::try_take(surroundings.state); });
  if (!lock) return;
  auto ledger = patiently(worker, [&] {
    return Ledger::open(surroundings.state, worker.pipeline().name, worker.pipeline().file);
  });
  if (!ledger) return;
  std::optional<WriterStage> stage;
  auto epoch = begin(worker, *ledger, stage);
  if (!epoch) return;
  worker.page()->epoch = *epoch;

  proto::Socket input(worker.context(), proto::SocketKind::kPull,
                      static_cast<int>(worker.welcome().writer->window_batches) + 8,
                      worker.max_message_bytes());
  input.bind(worker.welcome().input);
  Acks acks(worker, *epoch);
  book(*worker.page(), *stage);
  worker.ready(fmt::format("{{\"epoch\":{}}}", *epoch));

  Loop loop(worker, *stage, *epoch, input, acks);
  loop.run();
  if (!stage->ended()) return;  // asked to leave at once: what is not committed comes again
  if (loop.ended_within_a_batch() && !surroundings.volatile_state) {
    // What was taken of it cannot be kept without the rest: as after a death, the outputs go back to the last commit.
    if (!begin(worker, *ledger, stage)) return;
    stage->stop();
  }
  value_or_fatal(stage->finish());
  acks.committed();
  acks.send();
  book(*worker.page(), *stage);
  worker.done(value_or_fatal(stage->summary_json()));
  worker.wait_to_leave();
}

}  // namespace leat::writer
