// Deals batches to the workers of a pool: the next one goes to the worker that owes least, and nobody owes
// more than kMaxUnanswered. PUSH alone would deal round-robin without looking, and its high-water mark is
// loose (PROTOCOL.md).
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "proto/batch.h"
#include "proto/channel.h"
#include "proto/flow.h"

namespace leat::proto {

class Dealer {
 public:
  static constexpr int kMaxUnanswered = 2;
  static constexpr int kMaxUnansweredFast = 8;
  static constexpr std::uint32_t kMaxOwedUs = 4'000;

  // Connects one PUSH socket to each worker's endpoint and binds `credit_endpoint` for their answers.
  Dealer(Context& context, const std::vector<std::string>& workers, const std::string& credit_endpoint);

  // May another batch be dealt now?
  bool ready() const;
  // Precondition: ready().
  void deal(const Batch& batch);
  // Takes in the credits that have arrived. Answers of another epoch are ignored.
  void collect(std::uint64_t epoch);
  Socket& credits() { return credits_; }  // to wait on

  // Microseconds one record takes a worker, from the last credits (exponential average); 0: not known yet.
  double record_us() const { return record_us_; }

 private:
  struct Worker {
    std::unique_ptr<Socket> socket;
    int owed = 0;
    int may_owe = kMaxUnanswered;
    bool ready() const { return owed < may_owe; }
  };
  std::vector<Worker> workers_;
  Socket credits_;
  double record_us_ = 0;
  std::size_t next_ = 0;  // ties go round
};

}  // namespace leat::proto
