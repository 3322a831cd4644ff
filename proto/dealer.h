// Deals batches to the workers of a pool: the next one goes to the worker that owes least, and nobody owes
// more than kMaxUnanswered. PUSH alone would deal round-robin without looking, and its high-water mark is
// loose (PROTOCOL.md).
//
// A worker is an instance at an index. When one dies its place is empty (nothing is dealt there, and what its socket
// still held is dropped) until another instance takes it. One that is to go gets nothing more, and has retired when it owes
// nothing. Places are added as workers come.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "proto/batch.h"
#include "proto/channel.h"
#include "proto/control.h"
#include "proto/flow.h"

namespace leat::proto {

class Dealer {
 public:
  static constexpr int kMaxUnanswered = 2;
  static constexpr int kMaxUnansweredFast = 8;
  static constexpr std::uint32_t kMaxOwedUs = 4'000;

  // Connects one PUSH socket to each worker's endpoint (instance 0: an empty place) and binds `credit_endpoint` for
  // their answers. The context must outlive this.
  Dealer(Context& context, const std::vector<std::string>& workers,
         const std::vector<std::uint64_t>& instances, const std::string& credit_endpoint);

  // More places than that no pool has.
  static constexpr std::uint32_t kMaxPlaces = 1024;

  // A worker has gone, is to go, or has come. One that is not the latest at its place is no news.
  void change(const Pool& pool);
  bool retiring() const;  // somebody is to go and still owes: credits are waited for
  // Those who were to go and owe nothing now; each is told once.
  std::vector<Retired> take_retired() { return std::exchange(retired_, {}); }

  // May another batch be dealt now?
  bool ready() const;
  // Precondition: ready(). Returns the instance it went to.
  std::uint32_t deal(Batch& batch);
  // Takes in the credits that have arrived; `on_credit`, if given, sees each of this epoch, also those of instances
  // that have gone meanwhile.
  void collect(std::uint64_t epoch, const std::function<void(const Credit&)>& on_credit = {});
  Socket& credits() { return credits_; }  // to wait on

  // Microseconds one record takes a worker, from the last credits (exponential average); 0: not known yet.
  double record_us() const { return record_us_; }

 private:
  struct Worker {
    std::unique_ptr<Socket> socket;  // none: an empty place
    std::uint32_t instance = 0;
    int owed = 0;
    int may_owe = kMaxUnanswered;
    std::uint32_t service_us = 0;  // of the slowest of its last batches, the older the less
    bool leaving = false;
    bool ready() const { return socket && !leaving && owed < may_owe; }
  };
  void retire_if_through(std::uint32_t index);

  Context& context_;
  std::vector<Worker> workers_;
  std::vector<Retired> retired_;
  Socket credits_;
  double record_us_ = 0;
  std::size_t next_ = 0;  // ties go round
};

}  // namespace leat::proto
