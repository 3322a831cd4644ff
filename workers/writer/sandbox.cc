#include "workers/writer/sandbox.h"

#include "proto/base/files.h"
#include "proto/base/mounts.h"

namespace leat::writer {

stage::Policy sandbox(const config::Pipeline& pipeline, const stage::Surroundings& surroundings) {
  constexpr unsigned kAll = stage::kRead | stage::kChange;
  stage::Policy policy = stage::worker_policy(surroundings);
  auto add_folder_of = [&](const std::string& path) {
    policy.paths.push_back({Mounts::now().lasting_folder(fixed_folder(path, "{"), pipeline.sink.require_mount,
                                                         Lasting::kWhileMountsChange),
                            kAll});
  };
  if (surroundings.volatile_state) {
    policy.paths.push_back({pipeline.sink.path, stage::kRead | stage::kWrite});  // a pipe or a device
  } else {
    add_folder_of(pipeline.sink.path);
  }
  if (!pipeline.dead_letter_path.empty()) add_folder_of(pipeline.dead_letter_path);
  policy.paths.push_back({surroundings.state, kAll});
  policy.paths.push_back({"/proc/self", stage::kRead});   // which mounts there are; /dev/stdout
  policy.paths.push_back({"/proc/locks", stage::kRead});  // which process holds an output
  policy.change_attributes = true;
  policy.keep_capabilities = stage::file_capabilities();
  return policy;
}

}  // namespace leat::writer
