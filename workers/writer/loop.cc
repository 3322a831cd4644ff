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
    : worker_(worker), stage_(stage), epoch_(epoch), input_(input), acks_(acks) {
  poller_.add(input);
  worker.add_to(poller_);
}

void Loop::run() {
  while (!worker_.leaving() && !stage_.ended()) {
    if (!receive()) stage_.stop();
    while (auto batch = reorder_.pop()) {
      worker_.page()->sequence = batch->header().sequence;
      commit_before_parts(batch->header());
      hook_.on_record(batch->records());
      value_or_fatal(stage_.apply(*batch));
      acks_.applied(*batch);
      if (may_commit() && stage_.commit_due()) commit();
    }
    book(*worker_.page(), stage_);
    auto now = Clock::now();
    value_or_fatal(stage_.tick(now));
    if (may_commit() && (stage_.commit_due() || now - committed_at_ >= interval_)) commit();
  }
}

// False: asked to finish, and nothing has come for a while.
bool Loop::receive() {
  auto message = input_.try_receive();
  if (!message) {
    acks_.send();
    worker_.page().enter(Activity::kIdle);
    bool finishing = worker_.finishing();
    milliseconds tick = stage_.pending() ? std::min(kTick, interval_) : kTick;
    bool came = poller_.wait(finishing ? kQuiet : tick);
    worker_.poll_control();
    return came || !finishing;
  }
  worker_.poll_control_at_times();
  worker_.page().enter(Activity::kBusy);
  auto batch = Batch::decode(std::move(*message), worker_.max_message_bytes(), *worker_.payloads());
  if (!batch) {
    // Damaged, or its payload went with the worker that made it: the reader sees the gap and sends it again.
    worker_.warn(fmt::format("a batch was refused: {}", batch.error().text));
    return true;
  }
  bool ours = batch->header().epoch == epoch_ && batch->header().pipeline == worker_.pipeline_id();
  if (ours) reorder_.push(*std::move(batch));
  return true;
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
