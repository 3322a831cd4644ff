// The loop of a stage in the middle (filter, processor): takes a batch, transforms it, passes it on, returns
// the credit.
#pragma once

#include <functional>

#include "proto/batch.h"
#include "workers/stage/worker.h"

namespace leat::stage {

// Runs until the worker is asked to leave. `transform` gets every batch of records of this epoch; events pass
// untouched. A transform that fails ends the worker; but with exit code 75 the batch goes back to its dealer when the
// worker was asked to finish.
void pump(Worker& worker, const std::function<Result<proto::Batch>(proto::Batch)>& transform);

}  // namespace leat::stage
