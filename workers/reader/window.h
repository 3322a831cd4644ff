// The window: what the reader has sent and the writer has not accepted yet. It bounds what the whole pipeline
// holds.
//
// The reader keeps each batch until then (a kept message is counted, not copied).
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <utility>

#include "proto/batch.h"

namespace leat::reader {

// A batch larger than this travels with nothing else in the window: it may take several times its size
// elsewhere.
inline constexpr std::size_t kTravelsAlone = 1024 * 1024;

class Window {
 public:
  Window(std::uint64_t max_bytes, std::size_t max_batches)
      : max_bytes_(max_bytes), max_batches_(max_batches) {}

  // May a batch of that many payload bytes be sent now? An empty window has room for any one.
  bool has_room(std::size_t bytes) const {
    if (sent_.empty()) return true;
    if (bytes > kTravelsAlone || alone_) return false;
    return sent_.size() < max_batches_ && bytes_ + bytes <= max_bytes_;
  }

  // Precondition: sequence numbers ascend.
  void sent(proto::Batch batch) {
    bytes_ += batch.header().records_bytes;
    alone_ = batch.header().records_bytes > kTravelsAlone;
    sent_.push_back(std::move(batch));
  }

  // The writer has taken everything up to this sequence number. Returns the payload bytes of the last batch
  // of these.
  std::size_t accepted(std::uint64_t sequence) {
    std::size_t last = 0;
    while (!sent_.empty() && sent_.front().header().sequence <= sequence) {
      last = sent_.front().header().records_bytes;
      bytes_ -= last;
      sent_.pop_front();
    }
    if (sent_.empty()) alone_ = false;
    return last;
  }

  bool empty() const { return sent_.empty(); }
  std::size_t batches() const { return sent_.size(); }
  std::uint64_t bytes() const { return bytes_; }

 private:
  std::uint64_t max_bytes_;
  std::size_t max_batches_;
  std::deque<proto::Batch> sent_;
  std::uint64_t bytes_ = 0;
  bool alone_ = false;
};

}  // namespace leat::reader
