// What would end a run that is about to begin, searched for before anything is changed for it: a refusal leaves the state as
// it was.
#pragma once

#include "config/pipeline.h"
#include "proto/base/result.h"
#include "workers/ledger/ledger.h"
#include "workers/writer/begin.h"

namespace leat::writer {

// exact: outputs can be no longer than the ledger says, as the last run has ended in peace.
// kFatal: 64, a source to start over is not known; 78, the sink's folder cannot be written, or published outputs are in the way
// of --fresh or --reread; 74, the outputs are further than the ledger, which must have been put back from an older copy.
// kRetry: the mount is not there.
[[nodiscard]] Result<void> preflight(ledger::View& view, const config::Pipeline& pipeline,
                                     const RunOptions& options, bool exact);

}  // namespace leat::writer
