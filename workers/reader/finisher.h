// Carries out source.after: moves or deletes what is done, once that is durable.
//
// Nothing is moved or deleted that is not what was read: size, time and head are looked at just before. Nothing is
// replaced. What cannot be done is told and left where it is; the ledger keeps it pending, so the next run tries again.
#pragma once

#include <deque>
#include <optional>
#include <string>

#include "proto/result.h"
#include "workers/ledger/ledger.h"
#include "workers/reader/events.h"

namespace leat::reader {

// For one source, a committed row with an `after` that is not done. Also right after a death in the middle of it: what
// is at its new place already is done, what is nowhere any more has nothing to be done. kRetry: the mount is away.
[[nodiscard]] Result<SourceFinished> finish_source(const ledger::Source& row);

class Finisher {
 public:
  void add(ledger::Source row) {
    if (row.state == ledger::SourceState::kDone && !row.after.empty() && !row.after_done) {
      rows_.push_back(std::move(row));
    }
  }
  bool empty() const { return rows_.empty(); }
  // The first of what was added: done, or told why not. kRetry: it stays the first. Precondition: not empty().
  [[nodiscard]] Result<SourceFinished> next() {
    Result<SourceFinished> finished = finish_source(rows_.front());
    if (finished || finished.error().fault != Fault::kRetry) rows_.pop_front();
    return finished;
  }

 private:
  std::deque<ledger::Source> rows_;
};

}  // namespace leat::reader
