#include "workers/reader/own_outputs.h"

#include <algorithm>

#include "config/glob.h"
#include "proto/base/files.h"
#include "proto/base/mounts.h"

namespace leat::reader {

OwnOutputs::OwnOutputs(const std::vector<std::string>& sinks) {
  for (const std::string& path : sinks) {
    if (path.empty() || path.starts_with("/dev/")) continue;
    sinks_.push_back({path, fixed_folder(path, "{"), {}});
  }
}

bool OwnOutputs::holds(const std::string& path) {
  const std::size_t name = path.rfind('/') + 1;
  if (folder_ != path.substr(0, name)) {
    folder_ = path.substr(0, name);
    const Mounts mounts = Mounts::now();
    for (Sink& sink : sinks_) sink.seen_as = mounts.seen_from(sink.folder, folder_ + "x");
  }
  return std::any_of(sinks_.begin(), sinks_.end(), [&](const Sink& sink) {
    return sink.seen_as && config::sink_match(sink.path, sink.seen_as->substr(0, sink.seen_as->size() - 1) +
                                                             path.substr(name));
  });
}

}  // namespace leat::reader
