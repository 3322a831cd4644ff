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

  // Takes a complete listing made at `now` of the files about which there is something to do, and returns those of them
  // that have settled, in the same order. One that is returned, or absent, starts over when it comes again.
  std::vector<File> feed(const std::vector<File>& files, Time now);

 private:
  struct Seen {
    std::uint64_t size;
    std::int64_t mtime_ns;
    Time since;
    std::uint64_t round;
  };

  std::chrono::milliseconds settle_;
  std::unordered_map<std::string, Seen> seen_;
  std::uint64_t round_ = 0;
};

}  // namespace leat::reader
