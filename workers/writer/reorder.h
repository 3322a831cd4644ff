// Puts batches back in order: they come from a pool in any order and leave by sequence number and part, each once. A
// sequence number that was cut continues with its next part.
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
    Turn turn{batch.header().sequence, batch.header().part};
    if (turn < next_) return false;
    return held_.emplace(turn, std::move(batch)).second;
  }

  // The next one in order, if it has come.
  std::optional<proto::Batch> pop() {
    if (held_.empty() || held_.begin()->first != next_) return std::nullopt;
    std::optional<proto::Batch> batch(std::move(held_.begin()->second));
    held_.erase(held_.begin());
    next_ = batch->header().cut() ? Turn{next_.first, next_.second + 1} : Turn{next_.first + 1, 0};
    return batch;
  }

  std::uint64_t next() const { return next_.first; }   // the sequence number waited for
  std::uint32_t part() const { return next_.second; }  // and its part: not 0 in the middle of it
  std::size_t held() const { return held_.size(); }

 private:
  using Turn = std::pair<std::uint64_t, std::uint32_t>;
  std::map<Turn, proto::Batch> held_;
  Turn next_{1, 0};
};

}  // namespace leat::writer
