// Where the payloads of a process's batches stand, and how it gets at those of other processes: one for each worker, made
// when it is welcomed. Without an arena payloads are on the heap, and travel inside their messages.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>

#include "proto/arena.h"
#include "proto/base/result.h"
#include "proto/buffer.h"

namespace leat::proto {

class PayloadPool {
 public:
  // own: for payloads that are made here. others: gets the memory of another process; without it what stands there is
  // refused.
  explicit PayloadPool(std::shared_ptr<Arena> own = nullptr, ArenaSource others = {});

  // Room for `capacity` bytes behind kHeaderBytes of headroom: in a slot if it fits and one is free. May be called by several
  // threads.
  Buffer payload(std::size_t capacity) const;

  // What another process has put into a slot, `bytes` long, with the hold that came with its message. Fails with kReject.
  [[nodiscard]] Result<Slot> received(ArenaId id, std::uint32_t slot, std::size_t bytes);

  // Worker instance `receiver` has died: slots that it held are free again (Arena::reclaim).
  void reclaim(std::uint32_t receiver) const;
  // No other process holds anything any more that was made here.
  bool let_go_by_all() const;

 private:
  Result<std::shared_ptr<Arena>> mapped(ArenaId id);

  std::shared_ptr<Arena> own_;
  ArenaSource others_;
  // Few. One whose maker has gone is forgotten when the next is mapped: its memory ends with the last batch that stands in
  // it.
  std::map<ArenaId, std::shared_ptr<Arena>> mapped_;
};

}  // namespace leat::proto
