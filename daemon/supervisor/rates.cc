#include "daemon/supervisor/rates.h"

namespace leat::supervisor {

Rates RateMeter::add(const Snapshot& snapshot) {
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

}  // namespace leat::supervisor
