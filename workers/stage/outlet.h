// Where a stage's batches go: dealt to the pool of the next stage, or pushed to the writer, which always
// receives.
#pragma once

#include <functional>
#include <memory>
#include <optional>

#include "proto/batch.h"
#include "proto/dealer.h"
#include "workers/stage/worker.h"

namespace leat::stage {

class Outlet {
 public:
  using OnCredit = std::function<void(const proto::Credit&)>;

  // As the welcome says: with `credits` the outputs are a pool, without they are the one writer. on_credit sees every
  // credit of this epoch.
  explicit Outlet(Worker& worker, OnCredit on_credit = {});

  // Waits, as kBlocked, until there is room; false: the worker is to leave, or to finish.
  bool wait_for_room();
  bool has_room();
  // Takes in the credits that have come. To be done before a wait on them: what is left in the socket wakes
  // it at once.
  void collect();
  // Precondition: has_room(). Returns the instance of the pool it went to, 0 for the writer; nullopt: the worker is to
  // leave.
  std::optional<std::uint32_t> send(proto::Batch& batch);
  // Takes MemberAdded, MemberDraining and MemberRemoved, and ignores all else. What a removed worker held is free again.
  void handle_control(const proto::Control& control);
  // A draining worker has unanswered batches: its credits must be taken in even when there is nothing to deal.
  bool draining() const { return dealer_ && dealer_->draining(); }
  std::optional<std::size_t> add_to(
      proto::Poller& poller);  // the index of the credits; nullopt: there are none
  double record_us() const { return dealer_ ? dealer_->record_us() : 0; }

 private:
  void report_drained();

  Worker& worker_;
  OnCredit on_credit_;
  std::unique_ptr<proto::Dealer> dealer_;
  std::unique_ptr<proto::Socket> writer_;
};

}  // namespace leat::stage
