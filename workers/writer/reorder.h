// Puts batches back in order: they come from a pool in any order and leave by sequence number, each once.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <utility>

#include "proto/batch.h"

namespace leat::writer {

class Reorder {
 public:
  // False: it was there already, or has left; it is dropped. What is held is bounded by the reader's window.
  bool push(proto::Batch batch) {
    std::uint64_t sequence = batch.header().sequence;
    if (sequence < next_) return false;
    return held_.emplace(sequence, std::move(batch)).second;
  }

  // The next one in order, if it has come.
  std::optional<proto::Batch> pop() {
    if (held_.empty() || held_.begin()->first != next_) return std::nullopt;
    std::optional<proto::Batch> batch(std::move(held_.begin()->second));
    held_.erase(held_.begin());
    ++next_;
    return batch;
  }

  std::uint64_t next() const { return next_; }  // the sequence number waited for
  std::size_t held() const { return held_.size(); }

 private:
  std::map<std::uint64_t, proto::Batch> held_;
  std::uint64_t next_ = 1;
};

}  // namespace leat::writer
