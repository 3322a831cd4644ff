// Which files are finished: those whose size and time have not changed for a while by our own steady clock
// (the server's clock may be off, and an upload may set the time back).
#pragma once

#include <chrono>
#include <string>
#include <unordered_map>
#include <vector>

#include "workers/reader/file.h"

namespace leat::reader {

class Settler {
 public:
  using Time = std::chrono::steady_clock::time_point;
  explicit Settler(std::chrono::milliseconds settle) : settle_(settle) {}

  struct Update {
    std::vector<File> settled;  // in the order of the listing; each path is returned once, ever
    std::vector<File> changed;  // was returned before, and is not the same any more: each path reported once
  };
  // Takes a complete listing made at `now`. A path that is absent and was not returned yet starts over when
  // it comes back; one that was returned stays known.
  Update feed(const std::vector<File>& files, Time now);

 private:
  enum class Stage { kWaiting, kReturned, kReported };
  struct Seen {
    std::uint64_t size;
    std::int64_t mtime_ns;
    Time since;
    Stage stage;
    std::uint64_t round;
  };

  std::chrono::milliseconds settle_;
  std::unordered_map<std::string, Seen> seen_;
  std::uint64_t round_ = 0;
};

}  // namespace leat::reader
