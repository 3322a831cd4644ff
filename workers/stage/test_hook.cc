#include "workers/stage/test_hook.h"

namespace leat::stage {

TestHook::TestHook(proto::Stage) {}

std::chrono::milliseconds day() {
  return std::chrono::hours(24);
}

std::chrono::milliseconds no_progress() {
  return std::chrono::minutes(1);
}

}  // namespace leat::stage
