#include "workers/stage/outlet.h"

#include <fmt/format.h>

namespace leat::stage {

namespace {
// Far above what the window lets be under way: a PUSH learns in halves of its mark that messages have left, so near
// the window a fast writer could seem full.
constexpr int kHighWaterMark = 1024;
}  // namespace

Outlet::Outlet(Member& member, Stage& stage) : member_(member), stage_(stage) {
  const auto& welcome = member.welcome();
  if (!welcome.credits.empty()) {
    dealer_ = std::make_unique<proto::Dealer>(member.context(), welcome.outputs, welcome.output_instances,
                                              welcome.credits);
    credits_ = member.loop().add(dealer_->credits(), [this] { collect(); });
  } else {
    writer_ = std::make_unique<proto::Socket>(member.context(), proto::SocketKind::kPush, kHighWaterMark);
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
  dealer_->collect(member_.welcome().epoch,
                   [this](const proto::Credit& credit) { stage_.on_credit(credit); });
  report_drained();
}

void Outlet::report_drained() {
  for (const auto& drained : dealer_->take_drained()) member_.send_control(drained);
}

void Outlet::handle_control(const proto::Control& control) {
  if (const auto* removed = std::get_if<proto::MemberRemoved>(&control)) {
    if (dealer_) dealer_->remove(*removed);
    member_.payloads()->reclaim(removed->instance);
  } else if (dealer_) {
    if (const auto* added = std::get_if<proto::MemberAdded>(&control)) dealer_->add(*added);
    if (const auto* draining = std::get_if<proto::MemberDraining>(&control)) dealer_->drain(*draining);
    report_drained();
  }
}

std::optional<std::uint32_t> Outlet::send(proto::Batch& batch) {
  // Its receiver would refuse it without a word, for ever.
  if (batch.payload_bytes() > member_.max_message_bytes()) {
    const proto::Header& header = batch.header();
    throw Fatal({Fault::kFatal,
                 fmt::format("batch {} (source {}, lines {} to {}) takes {} bytes, a message holds {}",
                             header.sequence, header.source, header.first_line, header.end_line,
                             batch.payload_bytes(), member_.max_message_bytes()),
                 kExitBug});
  }
  if (dealer_) return dealer_->deal(batch);
  auto writer = static_cast<std::uint32_t>(member_.welcome().output_instances.at(0));
  if (!unsent_) unsent_ = batch.share(writer);
  if (!writer_->try_send(*unsent_)) return std::nullopt;
  unsent_.reset();
  return 0;
}

void Outlet::watch_credits(bool on) {
  if (dealer_) member_.loop().watch(credits_, on);
}

}  // namespace leat::stage
