// Deals batches to the workers of a pool: the next one goes to the worker with the fewest unanswered batches. A worker
// has at most kMaxUnanswered of them; a fast one as many as make kMaxUnansweredUs of work, up to kMaxUnansweredFast.
// PUSH alone would deal round-robin, whatever a worker has still to do, and its high-water mark is loose (PROTOCOL.md).
//
// A worker is an instance at an index. When one dies its index is empty (nothing is dealt there, and what its socket
// still held is dropped) until another instance takes it. A draining worker gets nothing more, and is drained when all its
// credits have come back. Indexes are added as workers come.
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
  static constexpr std::uint32_t kMaxUnansweredUs = 4'000;

  // Connects one PUSH socket to each worker's endpoint (instance 0: an empty index) and binds `credit_endpoint` for
  // their answers. The context must outlive this.
  Dealer(Context& context, const std::vector<std::string>& workers,
         const std::vector<std::uint64_t>& instances, const std::string& credit_endpoint);

  // No pool has more workers.
  static constexpr std::uint32_t kMaxMembers = 1024;

  // Each ignores an instance that is older than the latest at its index.
  void add(const MemberAdded& member);
  void drain(const MemberDraining& member);
  void remove(const MemberRemoved& member);
  bool draining() const;  // a draining worker has unanswered batches: credits are waited for
  // Those that are drained since the last call.
  std::vector<MemberDrained> take_drained() { return std::exchange(drained_, {}); }

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
    std::unique_ptr<Socket> socket;  // none: an empty index
    std::uint32_t instance = 0;
    int unanswered = 0;
    int most_unanswered = kMaxUnanswered;
    std::uint32_t service_us = 0;  // of the slowest of its last batches, the older the less
    bool draining = false;
    bool ready() const { return socket && !draining && unanswered < most_unanswered; }
  };
  // What is at the index, for news of that instance; nullptr: a later one is there already.
  Worker* find(std::uint32_t index, std::uint32_t instance);
  void note_if_drained(std::uint32_t index);

  Context& context_;
  std::vector<Worker> workers_;
  std::vector<MemberDrained> drained_;
  Socket credits_;
  double record_us_ = 0;
  std::size_t next_ = 0;  // ties go round
};

}  // namespace leat::proto
