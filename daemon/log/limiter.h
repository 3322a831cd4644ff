// How often an event may be said: 20 times in 10 s for each pipeline. A source that flaps must not fill the journal, nor keep
// the daemon busy with writing about it.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "daemon/log/line.h"

namespace leat::log {

class Limiter {
 public:
  using Time = std::chrono::steady_clock::time_point;
  static constexpr std::uint64_t kMost = 20;
  static constexpr std::chrono::seconds kWindow{10};

  struct Held {
    std::string event;
    std::string pipeline;
    Level level = Level::kInfo;  // the most urgent of what was held back
    std::uint64_t count = 0;
  };

  // May it be said? A window begins with the first event after the one before is over; call over() first.
  bool admit(std::string_view event, std::string_view pipeline, Level level, Time now);

  // What was held back in the windows that are over by now, each once; they are forgotten.
  std::vector<Held> over(Time now);

 private:
  struct Window {
    Time since;
    std::uint64_t said = 0;
    std::uint64_t held = 0;
    Level level = Level::kDebug;
  };
  std::map<std::pair<std::string, std::string>, Window> windows_;  // event, pipeline
};

}  // namespace leat::log
