#include "workers/reader/sandbox.h"

#include "config/glob.h"
#include "proto/base/mounts.h"

namespace leat::reader {

stage::Policy sandbox(const config::Pipeline& pipeline, const stage::Surroundings& surroundings) {
  const Mounts mounts = Mounts::now();
  stage::Policy policy = stage::worker_policy(surroundings);
  const config::Source& source = pipeline.source;
  constexpr std::string_view kMove = "move:";
  const unsigned source_access =
      stage::kRead | (source.after.empty() ? 0U : unsigned{stage::kRemove | stage::kMove});
  for (const auto& glob : source.paths) {
    policy.paths.push_back(
        {mounts.lasting_folder(config::glob_root(glob), source.require_mount, Lasting::kAlways),
         source_access});
  }
  if (source.after.starts_with(kMove)) {
    policy.paths.push_back(
        {mounts.lasting_folder(source.after.substr(kMove.size()), source.require_mount, Lasting::kAlways),
         stage::kRead | stage::kChange});
  }
  // SQLite's readers write to the file that they share with the writer.
  policy.paths.push_back({surroundings.state, stage::kRead | stage::kWrite | stage::kMake});
  policy.paths.push_back({"/proc/self", stage::kRead});  // which mounts there are
  policy.keep_capabilities = stage::file_capabilities();
  return policy;
}

}  // namespace leat::reader
