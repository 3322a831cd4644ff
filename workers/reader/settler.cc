#include "workers/reader/settler.h"

namespace leat::reader {

std::vector<File> Settler::feed(const std::vector<File>& files, Time now) {
  std::vector<File> settled;
  ++round_;
  for (const File& file : files) {
    const auto at = seen_.try_emplace(file.path, Seen{file.size, file.mtime_ns, now, round_}).first;
    Seen& seen = at->second;
    seen.round = round_;
    if (seen.size != file.size || seen.mtime_ns != file.mtime_ns)
      seen = {file.size, file.mtime_ns, now, round_};
    if (now - seen.since < settle_) continue;
    settled.push_back(file);
    seen_.erase(at);
  }
  std::erase_if(seen_, [&](const auto& entry) { return entry.second.round != round_; });
  return settled;
}

}  // namespace leat::reader
