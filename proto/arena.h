// Memory that the processes of one machine share, so that a payload crosses a boundary without being copied.
//
// A producer creates one arena (a sealed memfd), divided into slots of one size. A payload is built in a slot, and the
// message that announces it holds only the batch's header and the slot's number. Each slot has a count of holders in
// the arena's first pages: the producer's own batch is one, every announcement sent is one that passes to its receiver.
// Whoever is done counts down; at zero the slot is free. No message is needed for that, and nobody waits: a producer
// that finds no free slot builds the payload in its own memory and sends it inside the message.
//
// Other processes map the slots read-only and the counts read-write. The memory ends with the last process that has it
// mapped; there is no file to remove.
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <utility>

#include "proto/result.h"

namespace leat::proto {

// Where another process finds an arena: /proc/PID/fd/FD.
struct ArenaId {
  std::uint32_t pid = 0;
  std::uint32_t fd = 0;
  // NOLINTNEXTLINE(modernize-use-nullptr): clang-tidy 14 takes the comparison's 0 for one
  auto operator<=>(const ArenaId&) const = default;
};

class Arena {
 public:
  static constexpr std::uint32_t kMaxSlots = 1024;
  static constexpr std::uint64_t kMaxSlotBytes = 64U << 20U;

  // Throws std::system_error. Memory is taken as slots are first written to, the lowest numbers first.
  static std::shared_ptr<Arena> create(std::uint32_t slots, std::uint64_t slot_bytes);
  // Another process's arena. Fails (kReject) on anything that is not one.
  [[nodiscard]] static Result<std::shared_ptr<Arena>> open(ArenaId id);
  ~Arena();
  Arena(const Arena&) = delete;
  Arena& operator=(const Arena&) = delete;

  ArenaId id() const { return id_; }
  std::uint32_t slots() const { return slots_; }
  std::uint64_t slot_bytes() const { return slot_bytes_; }
  char* data(std::uint32_t slot) const { return data_ + slot * slot_bytes_; }  // writable in its creator only

  std::optional<std::uint32_t> acquire();  // a free slot, held once
  void hold(std::uint32_t slot);           // once more
  void let_go(std::uint32_t slot);

 private:
  struct Control;
  Arena(int fd, ArenaId id, std::uint32_t slots, std::uint64_t slot_bytes) noexcept
      : fd_(fd), id_(id), slots_(slots), slot_bytes_(slot_bytes) {}
  bool map(bool writable);

  int fd_;
  ArenaId id_;
  std::uint32_t slots_;
  std::uint64_t slot_bytes_;
  Control* control_ = nullptr;
  char* data_ = nullptr;
};

// One hold on a slot, let go with its owner. Empty: no slot.
class Slot {
 public:
  Slot() = default;
  // Takes a hold over that was counted already.
  Slot(std::shared_ptr<Arena> arena, std::uint32_t number) : arena_(std::move(arena)), number_(number) {}
  Slot(Slot&& other) noexcept : arena_(std::move(other.arena_)), number_(other.number_) {}
  Slot& operator=(Slot&& other) noexcept {
    if (this != &other) {
      reset();
      arena_ = std::move(other.arena_);
      number_ = other.number_;
    }
    return *this;
  }
  ~Slot() { reset(); }

  explicit operator bool() const { return arena_ != nullptr; }
  const Arena& arena() const { return *arena_; }
  std::uint32_t number() const { return number_; }
  char* data() const { return arena_->data(number_); }
  void hold_for_another() const { arena_->hold(number_); }
  void reset() {
    if (arena_) arena_->let_go(number_);
    arena_.reset();
  }

 private:
  std::shared_ptr<Arena> arena_;
  std::uint32_t number_ = 0;
};

}  // namespace leat::proto
