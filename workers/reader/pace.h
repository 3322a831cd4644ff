// How large the next batches should be: small at first, larger while work is fast, so that one takes a worker about
// 100 ms, down to one record.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>

namespace leat::reader {

class Pace {
 public:
  static constexpr std::size_t kFirstBytes = 16 * 1024;
  static constexpr double kServiceUs = 100'000;

  explicit Pace(std::size_t max_bytes) : max_bytes_(max_bytes), target_(std::min(kFirstBytes, max_bytes)) {}

  // A batch came through: what a record took the slowest stage (microseconds; 0: too little to measure) and how long
  // the batch's records were on average.
  void learn(double record_us, double record_bytes) {
    double allowed = record_us <= 0 ? static_cast<double>(max_bytes_) : kServiceUs / record_us * record_bytes;
    double wanted = std::clamp(allowed, 1.0, static_cast<double>(max_bytes_));
    target_ = std::min(static_cast<std::size_t>(wanted), target_ * 2);
  }

  std::size_t target_bytes() const { return target_; }  // at least 1: whole records up to there, but at least one

 private:
  std::size_t max_bytes_;
  std::size_t target_;
};

}  // namespace leat::reader
