// Memory that the processes of one machine share, so that a payload crosses a boundary without being copied.
//
// A producer creates one arena (a sealed memfd), divided into slots of one size. A payload is built in a slot, and the
// message that announces it holds only the batch's header and the slot's number. Each slot has a word in the arena's
// first pages that says which process holds it: its producer (a bit), and the one worker it was announced to (its instance).
// A holder that is done clears its part; at zero the slot is free. No message is needed for that, and none waits: a
// producer that finds no free slot builds the payload in its own memory and sends it inside the message.
//
// As the word names the receiver, what a worker held when it died can be given back: reclaim(), by the producer. So a
// slot is announced to one receiver only, once; passing a received slot on passes the hold.
//
// Other processes get the memfd from the supervisor, and map the slots read-only and the words read-write. The memory ends with the last process that has it
// mapped; there is no file to remove.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <utility>

#include "proto/base/fd.h"
#include "proto/base/result.h"

namespace leat::proto {

// A random number, by which the supervisor knows it (descriptors.h).
using ArenaId = std::uint64_t;
// Gets the memory of an arena that another process has made.
using ArenaSource = std::function<Result<Fd>(ArenaId)>;

class Arena {
 public:
  static constexpr std::uint32_t kMaxSlots = 1024;
  static constexpr std::uint64_t kMaxSlotBytes = 64U << 20U;

  // Throws std::system_error. Memory is taken as slots are first written to, the lowest numbers first.
  static std::shared_ptr<Arena> create(std::uint32_t slots, std::uint64_t slot_bytes);
  // Another process's arena. Fails (kReject) on anything that is not this one.
  [[nodiscard]] static Result<std::shared_ptr<Arena>> open(Fd memory, ArenaId id);
  // Is it memory of our user that cannot be taken from a process that has mapped it?
  static bool sealed(int memory);
  // Of the supervisor: the arena's maker has gone. A process that has it mapped lets go of it when it next maps another.
  static void mark_gone(int memory);
  ~Arena();
  Arena(const Arena&) = delete;
  Arena& operator=(const Arena&) = delete;

  ArenaId id() const { return id_; }
  int memory() const { return memory_.get(); }
  bool gone() const;  // mark_gone()
  std::uint32_t slots() const { return slots_; }
  std::uint64_t slot_bytes() const { return slot_bytes_; }
  char* data(std::uint32_t slot) const { return data_ + slot * slot_bytes_; }  // writable in its creator only

  // The producer: a free slot, held by it.
  std::optional<std::uint32_t> acquire();
  void let_go(std::uint32_t slot);
  // The slot is now also, or instead of the receiver that had it, held by `receiver` (not 0, below 2^31). The producer
  // must not announce a slot that a receiver holds or has held.
  void announce(std::uint32_t slot, std::uint32_t receiver);
  void receiver_lets_go(std::uint32_t slot);
  // The producer: worker instance `receiver` has died, what it held is free, now and whenever it turns up.
  void reclaim(std::uint32_t receiver);
  // The producer: has no other process anything of it any more?
  bool let_go_by_all() const;

 private:
  struct Control;
  Arena(Fd memory, ArenaId id, std::uint32_t slots, std::uint64_t slot_bytes) noexcept
      : memory_(std::move(memory)), id_(id), slots_(slots), slot_bytes_(slot_bytes) {}
  bool map(bool writable);

  bool free_up(std::uint32_t slot, std::uint32_t receiver);

  Fd memory_;
  ArenaId id_;
  std::uint32_t slots_;
  std::uint64_t slot_bytes_;
  Control* control_ = nullptr;
  char* data_ = nullptr;
  std::mutex dead_mutex_;  // the reader builds payloads in one thread and hears of deaths in the other
  std::deque<std::uint32_t> dead_;  // receivers whose holds are void: the last few
};

// One hold on a slot, the producer's or a receiver's, let go with its owner. Empty: no slot.
class Slot {
 public:
  Slot() = default;
  // Take over a hold that is there already.
  static Slot produced(std::shared_ptr<Arena> arena, std::uint32_t number) {
    return {std::move(arena), number, true};
  }
  static Slot received(std::shared_ptr<Arena> arena, std::uint32_t number) {
    return {std::move(arena), number, false};
  }
  Slot(Slot&& other) noexcept = default;
  Slot& operator=(Slot&& other) noexcept {
    if (this != &other) {
      reset();
      arena_ = std::move(other.arena_);
      number_ = other.number_;
      produced_ = other.produced_;
      announced_ = other.announced_;
    }
    return *this;
  }
  ~Slot() { reset(); }

  explicit operator bool() const { return arena_ != nullptr; }
  const Arena& arena() const { return *arena_; }
  std::uint32_t number() const { return number_; }
  char* data() const { return arena_->data(number_); }
  // Gives a hold to `receiver`: one more of the producer's, or ours if we are a receiver. False: that was done before.
  bool announce(std::uint32_t receiver) {
    if (announced_) return false;
    announced_ = true;
    arena_->announce(number_, receiver);
    return true;
  }
  void reset() {
    if (arena_ && produced_) arena_->let_go(number_);
    if (arena_ && !produced_ && !announced_) arena_->receiver_lets_go(number_);
    arena_.reset();
  }

 private:
  Slot(std::shared_ptr<Arena> arena, std::uint32_t number, bool produced)
      : arena_(std::move(arena)), number_(number), produced_(produced) {}

  std::shared_ptr<Arena> arena_;
  std::uint32_t number_ = 0;
  bool produced_ = false;
  bool announced_ = false;
};

}  // namespace leat::proto
