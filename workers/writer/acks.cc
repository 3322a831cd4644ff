#include "workers/writer/acks.h"

#include <algorithm>
#include <limits>

namespace leat::writer {

namespace {

using proto::Batch;

constexpr int kAcceptedHighWaterMark = 1024;
constexpr int kBatchesPerAck = 4;  // the reader gets one at least that often
constexpr std::uint64_t kMost = std::numeric_limits<std::uint32_t>::max();

}  // namespace

Acks::Acks(stage::Worker& worker, std::uint64_t epoch)
    : socket_(worker.context(), proto::SocketKind::kPush, kAcceptedHighWaterMark) {
  message_.epoch = epoch;
  socket_.connect(worker.welcome().writer->accepted);
}

void Acks::applied(const Batch& batch) {
  const proto::Header& header = batch.header();
  if (header.kind == proto::BatchKind::kRecords) measure(header);
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
  if (unsent_ >= kBatchesPerAck) send();
}
void Acks::committed() {
  if (message_.committed == message_.accepted) return;
  message_.committed = message_.accepted;
  ++unsent_;
}
void Acks::send() {
  if (unsent_ == 0) return;
  proto::Message message = proto::encode(message_);
  // Cumulative: what does not go through now is in the next one.
  if (!socket_.try_send(message)) return;
  unsent_ = 0;
  message_.growth = 0;
}

void Acks::measure(const proto::Header& header) {
  message_.process_us = header.process_us;
  message_.records = header.in;
  message_.input_bytes = header.end_offset - header.first_offset;
  if (header.in == 0 || message_.input_bytes == 0) return;
  const std::uint64_t growth = std::uint64_t{header.made} * 1000 / message_.input_bytes;
  message_.growth =
      std::max(message_.growth, static_cast<std::uint32_t>(std::min<std::uint64_t>(growth, kMost)));
}

}  // namespace leat::writer
