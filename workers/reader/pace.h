// How large the next batches should be: small at first, larger while work is fast, so that one takes a worker about
// 100 ms, down to one record. Until the first ones have come back nothing is known, and a record may take a minute: so they
// are a few lines.
//
// What a batch costs whatever its size (an exec child that is started for each batch as it does not flush) must not
// count: for such a cost smaller batches only mean paying it more often. So what matters is by how much longer a
// batch takes for each record more: the slope of a line through the last batches, the older the less. What starting a
// child takes is never twice the same, so of the slope its standard error is taken off: what may be noise is no reason for
// smaller batches, which a slope of noise would make smaller each time.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>

namespace leat::reader {

class Pace {
 public:
  static constexpr std::size_t kFirstBytes = 16 * 1024;
  static constexpr std::size_t kFirstLines = 8;
  static constexpr double kServiceUs = 100'000;

  explicit Pace(std::size_t max_bytes) : max_bytes_(max_bytes), target_(std::min(kFirstBytes, max_bytes)) {}

  // A batch of `records` records (at least 1) came through, `record_bytes` long on average, after `service_us` in the
  // slowest stage (0: too little to measure).
  void learn(double service_us, double records, double record_bytes) {
    double record_us = slope(service_us, records);
    double allowed = record_us <= 0 ? static_cast<double>(max_bytes_) : kServiceUs / record_us * record_bytes;
    double wanted = std::clamp(allowed, 1.0, static_cast<double>(max_bytes_));
    target_ = std::min(static_cast<std::size_t>(wanted), target_ * 2);
    const double us = std::max(service_us / records, kLeastUs);
    record_us_ = record_us_ == 0 ? us : record_us_ + (us - record_us_) * kNew;
    if (lines_ < kMostLines) lines_ *= service_us < kServiceUs / 10 ? 4 : 2;
  }

  // at least 1: whole records up to there, but at least one
  std::size_t target_bytes() const { return target_; }
  std::size_t target_lines() const {
    return lines_ < kMostLines ? lines_ : std::numeric_limits<std::size_t>::max();
  }
  // What a record takes the slowest stage, the work for the whole batch counted in; 0: not known yet.
  double record_us() const { return record_us_; }

 private:
  static constexpr double kNew = 0.25;              // weight of the latest batch
  static constexpr double kBatches = 2 / kNew - 1;  // as many as an average with that weight is of

  double slope(double service_us, double records) {
    double more = records - records_;
    double longer = service_us - service_us_;
    if (records_ > 0) {
      variance_ = (1 - kNew) * (variance_ + kNew * more * more);
      covariance_ = (1 - kNew) * (covariance_ + kNew * more * longer);
      service_variance_ = (1 - kNew) * (service_variance_ + kNew * longer * longer);
    }
    double weight = records_ > 0 ? kNew : 1;
    records_ += weight * more;
    service_us_ += weight * longer;
    double mean = service_us / records;
    bool sizes_differ = variance_ > 0.01 * records_ * records_;
    if (!sizes_differ) return mean;
    double unexplained = std::max(0.0, service_variance_ - covariance_ * covariance_ / variance_);
    double error = std::sqrt(unexplained / (kBatches - 2) / variance_);
    return std::clamp(covariance_ / variance_ - error, 0.0, mean);
  }

  static constexpr double kLeastUs = 0.001;  // known to be next to nothing
  static constexpr std::size_t kMostLines = 64 * 1024;

  std::size_t max_bytes_;
  std::size_t target_;
  std::size_t lines_ = kFirstLines;
  double record_us_ = 0;
  double records_ = 0;  // of a batch, on average
  double service_us_ = 0;
  double variance_ = 0;
  double covariance_ = 0;
  double service_variance_ = 0;
};

}  // namespace leat::reader
