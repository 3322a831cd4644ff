// From what the supervisor has told to what the reader's parts want to know.
#pragma once

#include <cstddef>

#include "workers/reader/read_ahead.h"
#include "workers/stage/worker.h"

namespace leat::reader {

// Loads what the ledger says of earlier runs, and of this one before the reader died. first_target_bytes: of a batch, until
// more is known. Throws stage::Fatal when the ledger cannot be read, or the pipeline contradicts itself.
ReadAhead::Options read_ahead_options(const stage::Worker& worker, std::size_t first_target_bytes);

}  // namespace leat::reader
