#include "daemon/log/limiter.h"

#include <algorithm>

namespace leat::log {

bool Limiter::admit(std::string_view event, std::string_view pipeline, Level level, Time now) {
  Window& window =
      windows_.try_emplace({std::string(event), std::string(pipeline)}, Window{now}).first->second;
  if (window.said < kMost) {
    ++window.said;
    return true;
  }
  ++window.held;
  window.level = std::min(window.level, level);
  return false;
}

std::vector<Limiter::Held> Limiter::over(Time now) {
  std::vector<Held> held;
  for (auto at = windows_.begin(); at != windows_.end();) {
    const auto& [name, window] = *at;
    if (now - window.since < kWindow) {
      ++at;
      continue;
    }
    if (window.held > 0) held.push_back({name.first, name.second, window.level, window.held});
    at = windows_.erase(at);
  }
  return held;
}

}  // namespace leat::log
