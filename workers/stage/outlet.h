// Where a stage's batches go: dealt to the pool of the next stage, or pushed to the writer, which always
// receives.
#pragma once

#include <chrono>
#include <memory>
#include <optional>

#include "proto/batch.h"
#include "proto/dealer.h"
#include "workers/stage/member.h"

namespace leat::stage {

class Outlet {
 public:
  // As the welcome says: with `credits` the outputs are a pool, without they are the one writer. The stage sees every
  // credit of this epoch.
  Outlet(Member& member, Stage& stage);

  bool has_room();
  // Takes in the credits that have come. To be done before a wait on them: what is left in the socket wakes
  // it at once.
  void collect();
  // Precondition: has_room(). Returns the instance of the pool it went to, 0 for the writer; nullopt: not yet, as the writer's
  // queue is full. Then the same batch is to be sent again.
  std::optional<std::uint32_t> send(proto::Batch& batch);
  // Takes MemberAdded, MemberDraining and MemberRemoved, and ignores all else. What a removed worker held is free again.
  void handle_control(const proto::Control& control);
  // A draining worker has unanswered batches: its credits must be taken in even when there is nothing to deal.
  bool draining() const { return dealer_ && dealer_->draining(); }
  // Are credits to end a wait? At first they are.
  void watch_credits(bool on);
  // For room. Of a pool credits tell; the writer's queue has room, as the window bounds what is under way, unless something
  // else is wrong: then ask again.
  std::chrono::milliseconds patience() const {
    return dealer_ ? proto::Loop::kForever : std::chrono::milliseconds{20};
  }
  double record_us() const { return dealer_ ? dealer_->record_us() : 0; }

 private:
  void report_drained();

  Member& member_;
  Stage& stage_;
  std::unique_ptr<proto::Dealer> dealer_;
  proto::Loop::Id credits_ = 0;
  std::unique_ptr<proto::Socket> writer_;
  std::optional<proto::Message>
      unsent_;  // names the slot of a batch, which is announced: no other may be made
};

}  // namespace leat::stage
