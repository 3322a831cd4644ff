#include "workers/stage/pump.h"

#include <fmt/format.h>

#include <chrono>
#include <memory>
#include <optional>
#include <utility>
#include <variant>
#include <vector>

#include "proto/flow.h"
#include "workers/stage/outlet.h"
#include "workers/stage/test_hook.h"

namespace leat::stage {

using std::chrono::milliseconds;

namespace {

constexpr int kInputHighWaterMark = 16;
constexpr int kCreditHighWaterMark = 1024;

// The stage before, one socket for each of its workers: a credit goes back to the one that dealt the batch.
class Credits {
 public:
  explicit Credits(Worker& worker) : worker_(worker) {
    for (const auto& endpoint : worker.welcome().credit_to) {
      sockets_.push_back(
          std::make_unique<proto::Socket>(worker.context(), proto::SocketKind::kPush, kCreditHighWaterMark));
      sockets_.back()->connect(endpoint);
    }
  }
  void give_back(const proto::Header& header, std::uint64_t service_ns, std::uint32_t records,
                 std::uint32_t dealt_to) {
    proto::Credit credit = credit_for(header.sequence);
    credit.service_us = static_cast<std::uint32_t>(service_ns / 1000);
    credit.records = records;
    credit.dealt_to = dealt_to;
    send(header.dealt_by, credit);
  }
  // The batch could not be used, here or further on.
  void refuse(std::uint32_t dealt_by, std::uint64_t sequence) {
    proto::Credit credit = credit_for(sequence);
    credit.refused = true;
    send(dealt_by, credit);
  }

 private:
  proto::Credit credit_for(std::uint64_t sequence) const {
    proto::Credit credit;
    credit.epoch = worker_.welcome().epoch;
    credit.sequence = sequence;
    credit.worker = worker_.index();
    credit.instance = worker_.instance();
    return credit;
  }
  void send(std::uint32_t dealt_by, const proto::Credit& credit) {
    if (dealt_by >= sockets_.size()) return;
    proto::Message message = encode(credit);
    if (!sockets_[dealt_by]->try_send(message)) {
      throw Fatal({Fault::kFatal, "the stage before takes no credits any more", kExitBug});
    }
  }

  Worker& worker_;
  std::vector<std::unique_ptr<proto::Socket>> sockets_;
};

// What the batch did to the counters: the difference between what came and what leaves.
void book(Page& page, proto::Stage role, const proto::Header& before, const proto::Header& after) {
  page.sequence.store(after.sequence, std::memory_order_relaxed);
  page.source.store(after.source, std::memory_order_relaxed);
  if (before.kind != proto::BatchKind::kRecords) return;  // what happened to a source is no input
  // The reader does not look into lines: how many records a batch holds is known behind the filter.
  add(page.records_in, role == proto::Stage::kFilter ? after.in : before.out);
  if (after.kept > before.kept) add(page.kept, after.kept - before.kept);
  add(page.dropped, after.dropped - before.dropped);
  add(page.rejected, after.rejected - before.rejected);
  add(page.records_out, after.out);
  add(page.bytes_in, before.records_bytes);
  add(page.bytes_out, after.records_bytes);
}

// A batch of this pipeline and epoch; nullopt: it was none, or none that can be used (a sender that has died took its
// memory with it), and then the reader hears of it.
std::optional<proto::Batch> decode(Worker& worker, proto::Message message, Credits& credits) {
  auto header = proto::decode_header(message.view());
  if (header && (header->epoch != worker.welcome().epoch || header->pipeline != worker.pipeline_id())) {
    return std::nullopt;
  }
  auto batch = proto::Batch::decode(std::move(message), worker.max_message_bytes(), *worker.payloads());
  if (batch) return *std::move(batch);
  if (header) credits.refuse(header->dealt_by, header->sequence);
  if (!header) worker.warn(batch.error().text);
  return std::nullopt;
}

// A drained worker has answered everything, but its last results may still be on their way in its memory.
void wait_until_taken(Worker& worker) {
  constexpr milliseconds kPollInterval{10};
  worker.page().enter(Activity::kIdle);
  proto::Poller poller;
  worker.add_to(poller);
  while (!worker.leaving() && !worker.payloads()->let_go_by_all()) {
    poller.wait(kPollInterval);
    worker.poll_control();
  }
}

}  // namespace

void pump(Worker& worker, const std::function<Result<proto::Batch>(proto::Batch)>& transform) {
  proto::Socket input(worker.context(), proto::SocketKind::kPull, kInputHighWaterMark,
                      worker.max_message_bytes());
  input.bind(worker.welcome().input);
  Credits credits(worker);
  // What the next stage could not use, the reader sends again.
  Outlet outlet(worker, [&](const proto::Credit& credit) {
    if (credit.refused) credits.refuse(0, credit.sequence);
  });
  worker.on_control([&](const proto::Control& control) { outlet.handle_control(control); });
  proto::Poller poller;
  poller.add(input);
  worker.add_to(poller);
  auto credits_index = outlet.add_to(poller);
  worker.ready();
  MappedPage& page = worker.page();
  TestHook hook(worker.role());

  while (!worker.leaving()) {
    auto message = input.try_receive();
    if (!message) {
      if (worker.draining()) return wait_until_taken(worker);
      page.enter(Activity::kIdle);
      if (worker.finishing()) worker.finished();
      // Credits alone are no reason to wake up, unless the last of them are waited for.
      if (credits_index) poller.watch(*credits_index, outlet.draining());
      poller.wait(milliseconds(-1));
      worker.poll_control();
      if (outlet.draining()) outlet.collect();
      continue;
    }
    page.enter(Activity::kBusy);
    std::uint64_t begin = monotonic_ns();
    auto decoded = decode(worker, std::move(*message), credits);
    if (!decoded) continue;
    proto::Batch batch = *std::move(decoded);
    const proto::Header before = batch.header();
    if (worker.finishing()) {
      credits.refuse(before.dealt_by, before.sequence);
      continue;
    }
    if (before.kind == proto::BatchKind::kRecords) {
      auto made = transform(std::move(batch));
      if (!made && made.error().exit_code == kExitStopped && worker.finishing() && !worker.leaving()) {
        credits.refuse(before.dealt_by, before.sequence);
        continue;
      }
      batch = value_or_fatal(std::move(made));
    }
    book(*page, worker.role(), before, batch.header());
    std::uint64_t service_ns = monotonic_ns() - begin;
    add(page->service_ns, service_ns);
    if (hook.loses_batch(batch.records())) {
      credits.give_back(before, service_ns, batch.header().in, 0);
      continue;
    }
    if (!outlet.wait_for_room()) {
      if (worker.leaving()) return;
      credits.refuse(before.dealt_by, before.sequence);
      continue;
    }
    page.enter(Activity::kBusy);
    proto::Header header = batch.header();
    header.dealt_by = worker.index();
    (worker.role() == proto::Stage::kFilter ? header.filter_us : header.process_us) =
        static_cast<std::uint32_t>(service_ns / 1000);
    batch = std::move(batch).reseal(header);
    auto dealt_to = outlet.send(batch);
    if (!dealt_to) return;
    if (!hook.withholds_credits()) credits.give_back(before, service_ns, header.in, *dealt_to);
    worker.poll_control_at_times();
  }
}

}  // namespace leat::stage
