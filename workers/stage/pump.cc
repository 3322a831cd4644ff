#include "workers/stage/pump.h"

#include <chrono>
#include <utility>

namespace leat::stage {

using std::chrono::milliseconds;

namespace {

constexpr int kInputHighWaterMark = 16;
constexpr int kCreditHighWaterMark = 1024;
constexpr milliseconds kTakenAgain{10};  // whether the last results have been taken

}  // namespace

Credits::Credits(Member& member) : member_(member) {
  for (const auto& endpoint : member.welcome().credit_to) {
    sockets_.push_back(
        std::make_unique<proto::Socket>(member.context(), proto::SocketKind::kPush, kCreditHighWaterMark));
    sockets_.back()->connect(endpoint);
  }
}

void Credits::give_back(const proto::Header& header, std::uint64_t service_ns, std::uint32_t records,
                        std::uint32_t dealt_to) {
  proto::Credit credit = credit_for(header.sequence);
  credit.service_us = static_cast<std::uint32_t>(service_ns / 1000);
  credit.records = records;
  credit.dealt_to = dealt_to;
  send(header.dealt_by, credit);
}

void Credits::refuse(std::uint32_t dealt_by, std::uint64_t sequence) {
  proto::Credit credit = credit_for(sequence);
  credit.refused = true;
  send(dealt_by, credit);
}

proto::Credit Credits::credit_for(std::uint64_t sequence) const {
  proto::Credit credit;
  credit.epoch = member_.welcome().epoch;
  credit.sequence = sequence;
  credit.worker = member_.index();
  credit.instance = member_.instance();
  return credit;
}

void Credits::send(std::uint32_t dealt_by, const proto::Credit& credit) {
  if (dealt_by >= sockets_.size()) return;
  proto::Message message = encode(credit);
  if (!sockets_[dealt_by]->try_send(message)) {
    throw Fatal({Fault::kFatal, "the stage before takes no credits any more", kExitBug});
  }
}

Pump::Pump(Member& member, Middle middle)
    : member_(member),
      middle_(std::move(middle)),
      input_(member.context(), proto::SocketKind::kPull, kInputHighWaterMark, member.max_message_bytes()),
      credits_(member),
      outlet_(member, *this),
      hook_(member.role()) {
  input_.bind(member.welcome().input);
}

void Pump::run() {
  member_.ready();
  member_.run(*this, &input_);
}

// What the batch did to the counters: the difference between what came and what leaves.
void Pump::book(const proto::Header& before, const proto::Header& after) const {
  Page& page = *member_.page();
  page.sequence.store(after.sequence, std::memory_order_relaxed);
  page.source.store(after.source, std::memory_order_relaxed);
  if (before.kind != proto::BatchKind::kRecords) return;  // what happened to a source is no input
  add(page.records_in, middle_.finds_records ? after.in : before.out);
  if (after.kept > before.kept) add(page.kept, after.kept - before.kept);
  add(page.dropped, after.dropped - before.dropped);
  add(page.rejected, after.rejected - before.rejected);
  add(page.records_out, after.out);
  add(page.bytes_in, before.records_bytes);
  add(page.bytes_out, after.records_bytes);
}

// A batch of this pipeline and epoch; nullopt: it was none, or none that can be used (a sender that has died took its
// memory with it), and then the reader hears of it.
std::optional<proto::Batch> Pump::decode(proto::Message message) {
  auto header = proto::decode_header(message.view());
  if (header && (header->epoch != member_.welcome().epoch || header->pipeline != member_.pipeline_id())) {
    return std::nullopt;
  }
  auto batch = proto::Batch::decode(std::move(message), member_.max_message_bytes(), *member_.payloads());
  if (batch) return *std::move(batch);
  if (header) credits_.refuse(header->dealt_by, header->sequence);
  if (!header) member_.warn(batch.error().text);
  return std::nullopt;
}

void Pump::on_batch(proto::Message message) {
  member_.page().enter(Activity::kBusy);
  std::uint64_t begin = monotonic_ns();
  auto decoded = decode(std::move(message));
  if (!decoded) return;
  proto::Batch batch = *std::move(decoded);
  const proto::Header from = batch.header();
  if (member_.finishing()) return credits_.refuse(from.dealt_by, from.sequence);
  if (from.kind == proto::BatchKind::kRecords) {
    auto made = middle_.transform(std::move(batch));
    if (!made && made.error().exit_code == kExitStopped && member_.finishing() && !member_.leaving()) {
      return credits_.refuse(from.dealt_by, from.sequence);
    }
    batch = value_or_fatal(std::move(made));
  }
  book(from, batch.header());
  std::uint64_t service_ns = monotonic_ns() - begin;
  add(member_.page()->service_ns, service_ns);
  if (hook_.loses_batch(batch.records())) {
    return credits_.give_back(from, service_ns, batch.header().in, 0);
  }
  proto::Header header = batch.header();
  header.dealt_by = member_.index();
  header.*middle_.took_us = static_cast<std::uint32_t>(service_ns / 1000);
  made_.emplace(Made{from, std::move(batch).reseal(header), service_ns});
}

void Pump::on_credit(const proto::Credit& credit) {
  // What the next stage could not use, the reader sends again.
  if (credit.refused) credits_.refuse(0, credit.sequence);
}

bool Pump::wants_batch() {
  if (!made_) return true;
  if (!outlet_.has_room()) {
    member_.page().enter(Activity::kBlocked);
    if (!member_.finishing()) return false;
    credits_.refuse(made_->from.dealt_by, made_->from.sequence);
  } else if (auto dealt_to = outlet_.send(made_->batch)) {
    member_.page().enter(Activity::kBusy);
    if (!hook_.withholds_credits()) {
      credits_.give_back(made_->from, made_->service_ns, made_->batch.header().in, *dealt_to);
    }
  } else {
    member_.page().enter(Activity::kBlocked);
    return false;
  }
  made_.reset();
  return true;
}

std::optional<milliseconds> Pump::on_idle() {
  // Credits alone are no reason to wake up, unless room or the last of them are waited for.
  outlet_.watch_credits(made_ || outlet_.draining());
  if (made_) return outlet_.patience();
  member_.page().enter(Activity::kIdle);
  if (member_.draining()) {
    // It has answered everything, but its last results may still be on their way in its memory.
    return member_.payloads()->let_go_by_all() ? std::nullopt : std::optional(kTakenAgain);
  }
  if (member_.finishing()) member_.finished();
  return proto::Loop::kForever;
}

}  // namespace leat::stage
