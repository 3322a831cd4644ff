// Where a stage's batches go: dealt to the pool of the next stage, or pushed to the writer, which always
// receives.
#pragma once

#include <memory>
#include <optional>

#include "proto/batch.h"
#include "proto/dealer.h"
#include "workers/stage/worker.h"

namespace leat::stage {

class Outlet {
 public:
  // As the welcome says: with `credits` the outputs are a pool, without they are the one writer.
  explicit Outlet(Worker& worker);

  // Waits, as kBlocked, until there is room; false: the worker is to leave.
  bool wait_for_room();
  bool has_room();
  // Takes in the credits that have come. To be done before a wait on them: what is left in the socket wakes
  // it at once.
  void collect();
  // Precondition: has_room(). Returns false when the worker is to leave.
  bool send(proto::Batch& batch);
  void add_to(proto::Poller& poller);
  double record_us() const { return dealer_ ? dealer_->record_us() : 0; }

 private:
  Worker& worker_;
  std::unique_ptr<proto::Dealer> dealer_;
  std::unique_ptr<proto::Socket> writer_;
};

}  // namespace leat::stage
