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
  Rates add(const Snapshot& snapshot) {
    Sample now{snapshot.seconds, static_cast<double>(snapshot.bytes_in),
               static_cast<double>(snapshot.records_in), static_cast<double>(snapshot.disk_bytes)};
    if (samples_.empty()) samples_.push_back({0, 0, 0, 0});
    samples_.push_back(now);
    while (samples_.size() > 2 && now.seconds - samples_[1].seconds >= kWindowSeconds) samples_.pop_front();
    const Sample& then = samples_.front();
    double seconds = now.seconds - then.seconds;
    if (seconds <= 0) return {};
    return {(now.bytes - then.bytes) / seconds, (now.records - then.records) / seconds,
            (now.disk - then.disk) / seconds};
  }

 private:
  struct Sample {
    double seconds, bytes, records, disk;
  };
  std::deque<Sample> samples_;
};

}  // namespace leat::supervisor
