#include "proto/payload_pool.h"

#include <fmt/format.h>

#include <utility>

#include "proto/batch.h"

namespace leat::proto {

PayloadPool::PayloadPool(std::shared_ptr<Arena> own, ArenaSource others)
    : own_(std::move(own)), others_(std::move(others)) {}

Buffer PayloadPool::payload(std::size_t capacity) const {
  if (own_ && kHeaderBytes + capacity + kTailPadding <= own_->slot_bytes()) {
    if (auto slot = own_->acquire()) return {Slot::produced(own_, *slot), kHeaderBytes};
  }
  return Buffer(capacity, kHeaderBytes);
}

Result<std::shared_ptr<Arena>> PayloadPool::mapped(ArenaId id) {
  if (auto known = mapped_.find(id); known != mapped_.end()) return known->second;
  if (!others_) return fail(Fault::kReject, "batch: in the memory of another process, and none is wanted");
  auto memory = others_(id);
  if (!memory) return fail(Fault::kReject, "batch: " + memory.error().text);
  auto arena = Arena::open(*std::move(memory), id);
  if (!arena) return arena;
  std::erase_if(mapped_, [](const auto& entry) { return entry.second->gone(); });
  mapped_[id] = *arena;
  return arena;
}

Result<Slot> PayloadPool::received(ArenaId id, std::uint32_t slot, std::size_t bytes) {
  auto arena = LEAT_TRY(mapped(id));
  if (slot >= arena->slots() || bytes > arena->slot_bytes()) {
    return fail(Fault::kReject,
                fmt::format("batch: {} bytes in slot {} are not in its sender's memory", bytes, slot));
  }
  return Slot::received(std::move(arena), slot);
}

void PayloadPool::reclaim(std::uint32_t receiver) const {
  if (own_) own_->reclaim(receiver);
}

bool PayloadPool::let_go_by_all() const {
  return !own_ || own_->let_go_by_all();
}

}  // namespace leat::proto
