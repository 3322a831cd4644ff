#include "workers/reader/settler.h"

namespace leat::reader {

Settler::Update Settler::feed(const std::vector<File>& files, Time now) {
  Update update;
  ++round_;
  for (const File& file : files) {
    const auto at =
        seen_.try_emplace(file.path, Seen{file.size, file.mtime_ns, now, Stage::kWaiting, round_}).first;
    Seen& seen = at->second;
    seen.round = round_;
    const bool same = seen.size == file.size && seen.mtime_ns == file.mtime_ns;
    if (seen.stage == Stage::kWaiting) {
      if (!same) seen = {file.size, file.mtime_ns, now, Stage::kWaiting, round_};
      if (now - seen.since < settle_) continue;
      seen.stage = Stage::kReturned;
      update.settled.push_back(file);
    } else if (seen.stage == Stage::kReturned && !same) {
      seen.stage = Stage::kReported;
      update.changed.push_back(file);
    }
  }
  std::erase_if(seen_, [&](const auto& entry) {
    return entry.second.stage == Stage::kWaiting && entry.second.round != round_;
  });
  return update;
}

}  // namespace leat::reader
