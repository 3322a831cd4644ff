// One run of the writer: the lock, the ledger, what an earlier one left, the loop, the run summary.
#pragma once

#include "workers/stage/worker.h"

namespace leat::writer {

// Until the worker is asked to leave. Throws stage::Fatal: what cannot be written or recovered.
void write_all(stage::Worker& worker);

}  // namespace leat::writer
