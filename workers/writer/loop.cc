#include "workers/writer/loop.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace leat::writer {

namespace {

using proto::Batch;
using stage::Activity;
using stage::value_or_fatal;
using stage::Worker;
using std::chrono::milliseconds;

constexpr milliseconds kTick{1'000};
constexpr milliseconds kQuiet{100};  // asked to finish: what was sent has come when nothing has for so long

}  // namespace

void book(stage::Page& page, const WriterStage& stage) {
  const auto& totals = stage.run().counts;
  page.records_in = totals.in;
  page.kept = totals.kept;
  page.dropped = totals.dropped;
  page.rejected = totals.dead;
  page.records_out = totals.out;
  page.bytes_out = totals.out_bytes;
  page.commits = stage.commits();
}

Loop::Loop(Worker& worker, WriterStage& stage, std::uint64_t epoch, proto::Socket& input, Acks& acks)
    : worker_(worker), stage_(stage), epoch_(epoch), input_(input), acks_(acks) {}

void Loop::on_batch(proto::Message message) {
  worker_.page().enter(Activity::kBusy);
  auto batch = Batch::decode(std::move(message), worker_.max_message_bytes(), *worker_.payloads());
  if (!batch) {
    // Damaged, or its payload went with the worker that made it: the reader sees the gap and sends it again.
    worker_.warn(fmt::format("a batch was refused: {}", batch.error().text));
  } else if (batch->header().epoch == epoch_ && batch->header().pipeline == worker_.pipeline_id()) {
    reorder_.push(*std::move(batch));
  }
  while (auto next = reorder_.pop()) {
    worker_.page()->sequence = next->header().sequence;
    commit_before_parts(next->header());
    hook_.on_record(next->records());
    value_or_fatal(stage_.apply(*next));
    acks_.applied(*next);
    if (may_commit() && stage_.commit_due()) commit();
  }
  see_to_output();
}

// What the clock asks for.
void Loop::see_to_output() {
  book(*worker_.page(), stage_);
  auto now = Clock::now();
  value_or_fatal(stage_.tick(now));
  if (may_commit() && (stage_.commit_due() || now - committed_at_ >= interval_)) commit();
}

std::optional<milliseconds> Loop::on_idle() {
  see_to_output();
  if (stage_.ended()) return std::nullopt;
  acks_.send();
  worker_.page().enter(Activity::kIdle);
  if (worker_.finishing()) return kQuiet;
  return stage_.pending() ? std::min(kTick, interval_) : kTick;
}

void Loop::on_timer() {
  if (worker_.finishing()) stage_.stop();
}

void Loop::commit_before_parts(const proto::Header& header) {
  if (header.cut() && header.part == 0 && Clock::now() - committed_at_ >= interval_ / 4) commit();
}

void Loop::commit() {
  // Looking at the clock is no work: the supervisor must see which worker is idle for long.
  if (stage_.pending()) worker_.page().enter(Activity::kBusy);
  value_or_fatal(stage_.commit());
  acks_.committed();
  committed_at_ = Clock::now();
}

}  // namespace leat::writer
