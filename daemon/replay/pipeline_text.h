// The text of a pipeline with some of its keys changed: what a replay gives its workers, who parse it as any other.
#pragma once

#include <optional>
#include <string>

#include "proto/base/result.h"

namespace leat::replay {

struct PipelineChanges {
  std::string source;       // the only path to read, absolute, not a glob
  std::string dead_letter;  // absolute
  std::string sink;         // absolute; empty: as it is
  bool keep_rotate = true;  // sink.rotate and sink.require_mount; false: they go with the old path
};

// text: a pipeline without problems. The result means the same but for the changes; layout, comments and anchors are gone.
// kFatal, 78: a path that is not UTF-8 cannot stand in a pipeline.
[[nodiscard]] Result<std::string> changed_pipeline(const std::string& text, const PipelineChanges& changes);

}  // namespace leat::replay
