// What a worker is for, known before it has sockets and threads: one file for all workers of a run, which the supervisor hands
// out (proto/descriptors.h). The pipeline in it was checked when its file was read, and no worker reads that file.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "config/pipeline.h"
#include "proto/base/fd.h"
#include "proto/base/result.h"
#include "workers/stage/confinement.h"

namespace leat::stage {

struct Briefing {
  std::string version = LEAT_VERSION;  // of the programs: all must be of one release
  config::Pipeline pipeline;
  Surroundings surroundings{};
  bool follow = false;  // continue with new files as they come
  bool daemon = false;  // it is leatd's: options of `leat run` are no advice

  template <class Archive, class Self>
  static void fields(Archive& archive, Self& self) {
    archive("version", self.version, "pipeline", self.pipeline, "surroundings", self.surroundings);
    archive("follow", self.follow, "daemon", self.daemon);
  }
};

std::string encode(const Briefing& briefing);

// The encoded briefing in a memfd that no process can change. Throws std::system_error.
Fd briefing_file(std::string_view encoded);

struct ReadBriefing {
  Briefing briefing;
  std::uint64_t digest = 0;
};
// All of the file, wherever its offset is. kFatal: of another release (78), or it cannot be read (70).
[[nodiscard]] Result<ReadBriefing> read_briefing(int file);

// Tells one briefing from another, as Welcome names it: XXH3-64.
std::uint64_t digest(std::string_view encoded);

}  // namespace leat::stage
