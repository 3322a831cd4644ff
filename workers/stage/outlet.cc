#include "workers/stage/outlet.h"

#include <fmt/format.h>

#include <chrono>
#include <utility>

namespace leat::stage {

using std::chrono::milliseconds;

namespace {
// The window bounds what is under way, so the writer's queue has room unless something else is wrong; then
// ask again.
constexpr milliseconds kAskAgain{20};
// Far above what the window lets be under way: a PUSH learns in halves of its mark that messages have left, so near
// the window a fast writer could seem full.
constexpr int kHighWaterMark = 1024;
}  // namespace

Outlet::Outlet(Worker& worker, OnCredit on_credit) : worker_(worker), on_credit_(std::move(on_credit)) {
  const auto& welcome = worker.welcome();
  if (!welcome.credits.empty()) {
    dealer_ = std::make_unique<proto::Dealer>(worker.context(), welcome.outputs, welcome.output_instances,
                                              welcome.credits);
  } else {
    writer_ = std::make_unique<proto::Socket>(worker.context(), proto::SocketKind::kPush, kHighWaterMark);
    writer_->connect(welcome.outputs.at(0));
  }
}

bool Outlet::has_room() {
  if (!dealer_ || dealer_->ready()) return true;
  collect();
  return dealer_->ready();
}

void Outlet::collect() {
  if (!dealer_) return;
  dealer_->collect(worker_.welcome().epoch, on_credit_);
  report_drained();
}

void Outlet::report_drained() {
  for (const auto& drained : dealer_->take_drained()) worker_.send_control(drained);
}

bool Outlet::wait_for_room() {
  if (has_room()) return true;
  worker_.page().enter(Activity::kBlocked);
  proto::Poller poller;
  add_to(poller);
  worker_.add_to(poller);
  while (!worker_.leaving() && !worker_.finishing()) {
    if (has_room()) return true;
    poller.wait(milliseconds(-1));
    worker_.poll_control();
  }
  return false;
}

void Outlet::handle_control(const proto::Control& control) {
  if (const auto* removed = std::get_if<proto::MemberRemoved>(&control)) {
    if (dealer_) dealer_->remove(*removed);
    worker_.payloads()->reclaim(removed->instance);
  } else if (dealer_) {
    if (const auto* added = std::get_if<proto::MemberAdded>(&control)) dealer_->add(*added);
    if (const auto* draining = std::get_if<proto::MemberDraining>(&control)) dealer_->drain(*draining);
    report_drained();
  }
}

std::optional<std::uint32_t> Outlet::send(proto::Batch& batch) {
  // Its receiver would refuse it without a word, for ever.
  if (batch.payload_bytes() > worker_.max_message_bytes()) {
    const proto::Header& header = batch.header();
    throw Fatal({Fault::kFatal,
                 fmt::format("batch {} (source {}, lines {} to {}) takes {} bytes, a message holds {}",
                             header.sequence, header.source, header.first_line, header.end_line,
                             batch.payload_bytes(), worker_.max_message_bytes()),
                 kExitBug});
  }
  if (dealer_) return dealer_->deal(batch);
  auto writer = static_cast<std::uint32_t>(worker_.welcome().output_instances.at(0));
  proto::Message message = batch.share(writer);
  if (writer_->try_send(message)) return 0;
  worker_.page().enter(Activity::kBlocked);
  proto::Poller poller;
  worker_.add_to(poller);
  while (!worker_.leaving()) {
    poller.wait(kAskAgain);
    worker_.poll_control();
    if (writer_->try_send(message)) return 0;
  }
  return std::nullopt;
}

std::optional<std::size_t> Outlet::add_to(proto::Poller& poller) {
  if (!dealer_) return std::nullopt;
  return poller.add(dealer_->credits());
}

}  // namespace leat::stage
