// By how much batches grow on their way, and so how much of the input may leave at once: what a batch becomes is granted to
// it before it is sent, and charged to the window.
//
// The factor rises at once and falls slowly: a batch that outgrows its grant is cut, which costs a round trip that all
// behind it wait for; one that stays below it costs a smaller batch.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>

namespace leat::reader {

class Growth {
 public:
  // max_grant: for a batch of several lines, limits.batch. max_result: what one record may become.
  Growth(std::size_t max_grant, std::size_t max_result) : max_grant_(max_grant), most_(max_result) {}

  // A batch has grown that much, in thousandths of its input.
  void learn(std::uint32_t thousandths) {
    const double factor = std::max(thousandths / 1000.0, kLeast);
    factor_ = std::max(factor, factor_ + (factor - factor_) / kMemory);
  }
  double factor() const { return factor_; }

  // Bytes of input whose results should fit the largest grant; at least 1.
  std::size_t input_bytes() const { return input_for(max_grant_); }
  std::size_t input_for(std::size_t grant) const {
    return std::max<std::size_t>(1,
                                 static_cast<std::size_t>(static_cast<double>(grant) / (factor_ * kMargin)));
  }

  // What a batch of so many bytes may become. A single line may take more than the others, or it would have to ask twice.
  std::uint32_t grant_for(std::size_t bytes, bool single) const {
    const double expected =
        std::min(static_cast<double>(bytes) * factor_ * kMargin, static_cast<double>(most_));
    const std::size_t least = std::max(bytes, std::min(kLeastGrant, max_grant_));
    const std::size_t most = std::max(least, single ? most_ : max_grant_);
    return static_cast<std::uint32_t>(std::clamp(static_cast<std::size_t>(expected), least, most));
  }

 private:
  static constexpr double kMargin = 1.125;
  static constexpr double kLeast = 0.01;
  static constexpr double kMemory = 16;  // batches
  static constexpr std::size_t kLeastGrant = 64 * 1024;

  std::size_t max_grant_;
  std::size_t most_;
  double factor_ = kLeast;
};

}  // namespace leat::reader
