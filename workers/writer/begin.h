// What is done once in a run, before its first epoch: what its user has asked for, and whether the ledger's unfinished
// work may be continued at all.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "config/pipeline.h"
#include "proto/base/result.h"
#include "workers/ledger/ledger.h"
#include "workers/writer/dead_letters.h"

namespace leat::writer {

struct RunOptions {
  std::string run;              // names it, whatever is started again in it
  bool force = false;           // replace outputs that exist
  bool daemon = false;          // leatd's: `leat run` and its options are no advice
  bool follow = false;          // the end of the input is only ever a stop
  bool fresh = false;           // forget all sources and outputs
  bool accept_changes = false;  // continue although the fingerprint is another one
  std::uint64_t fingerprint = 0;
  std::vector<std::string> reread = {};  // paths of sources to start over
};

// Precondition: the run has not begun an epoch (the ledger has no row for it). All of it can be done again: a writer that
// dies in the middle leaves no row, and the next one does it from the beginning. Fails as preflight() does, and 78: the
// pipeline has changed in the middle of its work; then nothing was changed. kRetry: ask again. on_warning hears what a
// person should. letters: nullptr, there is no dead-letter file; otherwise not yet started.
[[nodiscard]] Result<void> begin_run(ledger::Ledger& ledger, const config::Pipeline& pipeline,
                                     const RunOptions& options, bool exact, DeadLetters* letters,
                                     const std::function<void(const std::string&)>& on_warning);

}  // namespace leat::writer
