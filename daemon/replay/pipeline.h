// The pipeline of a replay: one with other paths, and the same in everything else.
#pragma once

#include <string>

#include "config/pipeline.h"
#include "proto/base/result.h"

namespace leat::replay {

struct PipelineChanges {
  std::string source;       // the only path to read, absolute, not a glob
  std::string dead_letter;  // absolute
  std::string sink;         // absolute; empty: as it is
  bool keep_rotate = true;  // sink.rotate and sink.require_mount; false: they go with the old path
};

// kFatal, 78: the changes do not fit the rest.
[[nodiscard]] Result<config::Pipeline> changed_pipeline(config::Pipeline pipeline,
                                                        const PipelineChanges& changes);

}  // namespace leat::replay
