// How fast a run is, from one snapshot to the next.
#pragma once

#include <deque>

#include "daemon/supervisor/snapshot.h"

namespace leat::supervisor {

struct Rates {
  double bytes = 0;    // of records, uncompressed, a second
  double records = 0;  // a second
  double disk = 0;     // bytes read a second
};

// Rates over the last seconds, so that they follow what happens and do not flicker.
class RateMeter {
 public:
  static constexpr double kWindowSeconds = 4;
  Rates add(const Snapshot& snapshot);

 private:
  struct Sample {
    double seconds, bytes, records, disk;
  };
  std::deque<Sample> samples_;
};

}  // namespace leat::supervisor
