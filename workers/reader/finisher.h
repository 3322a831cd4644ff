// Carries out source.after: moves or deletes what is done, once what holds its records is durable and has its name.
//
// Nothing is moved or deleted that is not what was read: size, time and head are checked just before. Nothing is
// replaced. What cannot be done is told and left where it is; the ledger keeps it pending, so the next run tries again.
#pragma once

#include "proto/base/result.h"
#include "workers/ledger/ledger.h"
#include "workers/reader/events.h"

namespace leat::reader {

// For one source, a committed row with an `after` that is not done. Also right after a death in the middle of it: what
// is at its new place already is done, what is nowhere any more has nothing to be done. kRetry: the mount is unavailable.
[[nodiscard]] Result<SourceFinished> finish_source(const ledger::Source& row);

}  // namespace leat::reader
