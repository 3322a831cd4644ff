// Which sources are over and durable: the application thread knows sequence numbers, the I/O thread knows sources.
#pragma once

#include <cstdint>
#include <deque>
#include <utility>

#include "proto/batch.h"

namespace leat::reader {

class Commits {
 public:
  // A batch has been given its sequence number, which ascend.
  void sent(const proto::Header& header) {
    using proto::BatchKind;
    if (header.kind == BatchKind::kSourceEnded || header.kind == BatchKind::kSourceFailed ||
        header.kind == BatchKind::kSourceChanged || header.kind == BatchKind::kPresence ||
        header.kind == BatchKind::kInputRead) {
      over_.emplace_back(header.sequence, header.source);
    }
  }
  // Everything up to this sequence number is durable: calls `each` for every source whose end is among it, and with
  // 0 for every parts of a presence scan and for kInputRead.
  template <class Each>
  void committed(std::uint64_t sequence, Each each) {
    for (; !over_.empty() && over_.front().first <= sequence; over_.pop_front()) each(over_.front().second);
  }

 private:
  std::deque<std::pair<std::uint64_t, std::uint64_t>> over_;  // sequence, source
};

}  // namespace leat::reader
