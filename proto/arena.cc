#include "proto/arena.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <cstddef>
#include <system_error>

namespace leat::proto {

// The first 64 KiB of an arena. Host-endian: it never leaves the machine, nor one release of the programs.
struct Arena::Control {
  static constexpr std::uint64_t kMagic = 0x33414E45'5241454CULL;  // "LEARENA3", but for one letter
  std::uint64_t magic;
  std::uint64_t nonce;
  std::uint64_t slot_bytes;
  std::uint32_t slots;
  std::atomic<std::uint32_t> gone;
  // Bit 31: held by the producer. The rest: the worker instance it was announced to, 0 for none.
  std::array<std::atomic<std::uint32_t>, kMaxSlots> holders;
};

namespace {

constexpr std::size_t kControlBytes =
    65536;  // the payloads behind it begin at a page on any kernel: 4, 16 or 64 KiB
constexpr std::uint32_t kProducer = 1U << 31U;
constexpr int kSeals = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL;  // a mapping cannot lose its memory

}  // namespace

bool Arena::map(bool writable) {
  static_assert(sizeof(Control) <= kControlBytes);
  void* control = ::mmap(nullptr, kControlBytes, PROT_READ | PROT_WRITE, MAP_SHARED, memory_.get(), 0);
  if (control == MAP_FAILED) return false;
  control_ = static_cast<Control*>(control);
  void* data = ::mmap(nullptr, slots_ * slot_bytes_, writable ? PROT_READ | PROT_WRITE : PROT_READ,
                      MAP_SHARED, memory_.get(), kControlBytes);
  if (data == MAP_FAILED) return false;
  data_ = static_cast<char*>(data);
  return true;
}

std::shared_ptr<Arena> Arena::create(std::uint32_t slots, std::uint64_t slot_bytes) {
  constexpr std::uint64_t kPage = 4096;
  slot_bytes = (slot_bytes + kPage - 1) / kPage * kPage;
  LEAT_CHECK(slots > 0 && slots <= kMaxSlots && slot_bytes <= kMaxSlotBytes,
             fmt::format("{} slots of {} bytes", slots, slot_bytes));
  Fd memory(::memfd_create("leat-arena", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  if (!memory) throw std::system_error(errno, std::generic_category(), "memfd_create");
  ArenaId id = 0;
  if (::getrandom(&id, sizeof id, 0) != static_cast<ssize_t>(sizeof id)) {
    throw std::system_error(errno, std::generic_category(), "getrandom");
  }
  std::shared_ptr<Arena> arena(new Arena(std::move(memory), id, slots, slot_bytes));
  auto size = static_cast<off_t>(kControlBytes + slots * slot_bytes);
  if (::ftruncate(arena->memory(), size) != 0 || ::fcntl(arena->memory(), F_ADD_SEALS, kSeals) != 0 ||
      !arena->map(true)) {
    throw std::system_error(errno, std::generic_category(), "shared memory for batches");
  }
  arena->control_->magic = Control::kMagic;
  arena->control_->nonce = id;
  arena->control_->slot_bytes = slot_bytes;
  arena->control_->slots = slots;
  return arena;
}

bool Arena::sealed(int memory) {
  struct stat found {};
  // Only a memfd has seals.
  return (::fcntl(memory, F_GET_SEALS) & kSeals) == kSeals && ::fstat(memory, &found) == 0 &&
         found.st_uid == ::geteuid();
}

void Arena::mark_gone(int memory) {
  constexpr std::uint32_t kGone = 1;
  static_cast<void>(::pwrite(memory, &kGone, sizeof kGone, offsetof(Control, gone)));
}

bool Arena::gone() const {
  return control_->gone.load(std::memory_order_relaxed) != 0;
}

Result<std::shared_ptr<Arena>> Arena::open(Fd memory, ArenaId id) {
  auto refuse = [&](std::string_view why) {
    return fail(Fault::kReject,
                fmt::format("batch: the memory {:x} that it is in cannot be used: {}", id, why));
  };
  std::shared_ptr<Arena> arena(new Arena(std::move(memory), id, 0, 0));
  const int fd = arena->memory();
  struct stat found {};
  // Asked before anything is mapped.
  if (!sealed(fd) || ::fstat(fd, &found) != 0) return refuse("not an arena of ours");
  Control control{};
  constexpr std::size_t kFixedBytes = 32;
  if (::pread(fd, static_cast<void*>(&control), kFixedBytes, 0) != static_cast<ssize_t>(kFixedBytes) ||
      control.magic != Control::kMagic || control.slots == 0 || control.slots > kMaxSlots ||
      control.slot_bytes > kMaxSlotBytes ||
      static_cast<std::uint64_t>(found.st_size) != kControlBytes + control.slots * control.slot_bytes) {
    return refuse("not an arena of this release");
  }
  if (control.nonce != id) return refuse("it is another one");
  arena->slots_ = control.slots;
  arena->slot_bytes_ = control.slot_bytes;
  if (!arena->map(false)) return refuse(std::system_category().message(errno));
  return arena;
}

Arena::~Arena() {
  if (data_ != nullptr) ::munmap(data_, slots_ * slot_bytes_);
  if (control_ != nullptr) ::munmap(control_, kControlBytes);
}

// The lowest free one: its pages are the likeliest to be there, and in a cache.
std::optional<std::uint32_t> Arena::acquire() {
  auto find = [&]() -> std::optional<std::uint32_t> {
    for (std::uint32_t slot = 0; slot < slots_; ++slot) {
      auto& word = control_->holders[slot];
      std::uint32_t none = 0;
      if (word.load(std::memory_order_relaxed) == 0 &&
          word.compare_exchange_strong(none, kProducer, std::memory_order_acquire)) {
        return slot;
      }
    }
    return std::nullopt;
  };
  if (auto slot = find()) return slot;
  const std::lock_guard lock(dead_mutex_);
  // A hold may have passed to a worker after its death was known here.
  bool found = false;
  for (std::uint32_t receiver : dead_) {
    for (std::uint32_t at = 0; at < slots_; ++at) found = free_up(at, receiver) || found;
  }
  return found ? find() : std::nullopt;
}

void Arena::let_go(std::uint32_t slot) {
  control_->holders[slot].fetch_and(~kProducer, std::memory_order_release);
}

void Arena::announce(std::uint32_t slot, std::uint32_t receiver) {
  auto& word = control_->holders[slot];
  std::uint32_t now = word.load(std::memory_order_relaxed);
  while (!word.compare_exchange_weak(now, (now & kProducer) | receiver, std::memory_order_relaxed)) {
  }
}

void Arena::receiver_lets_go(std::uint32_t slot) {
  control_->holders[slot].fetch_and(kProducer, std::memory_order_release);
}

void Arena::reclaim(std::uint32_t receiver) {
  for (std::uint32_t slot = 0; slot < slots_; ++slot) free_up(slot, receiver);
  constexpr std::size_t kRemembered = 16;
  const std::lock_guard lock(dead_mutex_);
  dead_.push_back(receiver);
  if (dead_.size() > kRemembered) dead_.pop_front();
}

bool Arena::let_go_by_all() const {
  for (std::uint32_t slot = 0; slot < slots_; ++slot) {
    if ((control_->holders[slot].load(std::memory_order_acquire) & ~kProducer) != 0) return false;
  }
  return true;
}

bool Arena::free_up(std::uint32_t slot, std::uint32_t receiver) {
  auto& word = control_->holders[slot];
  std::uint32_t now = word.load(std::memory_order_relaxed);
  while ((now & ~kProducer) == receiver) {
    if (word.compare_exchange_weak(now, now & kProducer, std::memory_order_acq_rel)) return true;
  }
  return false;
}

}  // namespace leat::proto
