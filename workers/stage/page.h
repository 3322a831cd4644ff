// A worker's page: a small file in the runtime folder that a worker maps and writes, and the supervisor maps
// and reads.
//
// It tells what the worker does and since when, and what it has done, without a message and without the
// worker's help: it can be read while the worker hangs in a system call, and after it has died. All fields
// are independent relaxed atomics: a reader may see counts a moment apart.
#pragma once

#include <array>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

namespace leat::stage {

// Explicit values, never renumbered.
enum class Activity : std::uint32_t {
  kStarting = 0,
  kBusy = 1,     // working on a batch
  kBlocked = 2,  // has work, but the next stage (or the window) has no room
  kIdle = 3,     // waits for work
};

// Shared by the worker, which writes it, and its supervisor. A wait on a device (the writer's write(2)) is inside "busy".
struct Page {
  static constexpr std::uint32_t kMagic = 0x5047414C;  // "LAGP"
  std::atomic<std::uint32_t> magic;
  std::atomic<std::uint32_t> version;
  std::atomic<std::uint64_t> pid;
  std::atomic<std::uint32_t> activity;
  std::atomic<std::uint32_t> text_version;                // odd while `text` is being written
  std::atomic<std::uint64_t> activity_since_ns;           // CLOCK_MONOTONIC
  std::array<std::atomic<std::uint64_t>, 4> activity_ns;  // total per Activity, up to activity_since_ns
  std::atomic<std::uint64_t> epoch;
  std::atomic<std::uint64_t> sequence;  // of the batch at work, or the last one
  std::atomic<std::uint64_t> source;
  std::atomic<std::uint64_t> records_in;
  std::atomic<std::uint64_t> service_ns;  // filter, processor: work on the batches that records_in counts
  std::atomic<std::uint64_t> kept;
  std::atomic<std::uint64_t> dropped;
  std::atomic<std::uint64_t> rejected;
  std::atomic<std::uint64_t> records_out;
  std::atomic<std::uint64_t> bytes_in;          // of records, uncompressed
  std::atomic<std::uint64_t> bytes_out;         // of records, uncompressed
  std::atomic<std::uint64_t> disk_bytes;        // reader: compressed bytes read; writer: bytes in files
  std::atomic<std::uint64_t> total_disk_bytes;  // reader: of all files listed
  std::atomic<std::uint64_t> sources_total;
  std::atomic<std::uint64_t> sources_done;
  std::atomic<std::uint64_t> sources_failed;
  std::atomic<std::uint64_t> window_batches;  // reader: sent and not accepted
  std::atomic<std::uint64_t> commits;         // writer: since it started
  // The record at work, for the supervisor after a death: at_source 0: none.
  std::atomic<std::uint64_t> at_source;
  std::atomic<std::uint64_t> at_offset;     // of its first byte, uncompressed
  std::atomic<std::uint32_t> at_guarded;    // not 0: a step watches its time itself
  std::atomic<std::uint32_t> failing;       // not 0: the text says what is wrong
  std::array<std::atomic<char>, 512> text;  // what it is at, for a person; NUL-terminated UTF-8
};

std::uint64_t monotonic_ns();

// Creates (worker) or opens (supervisor) a mapping; both throw std::system_error. The mapping lives as long
// as this.
class MappedPage {
 public:
  static MappedPage create(const std::string& path);
  static MappedPage open(const std::string& path);
  MappedPage(MappedPage&& other) noexcept;
  MappedPage& operator=(MappedPage&&) = delete;
  ~MappedPage();

  Page& operator*() { return *page_; }
  const Page& operator*() const { return *page_; }
  Page* operator->() { return page_; }
  const Page* operator->() const { return page_; }

  // Changes the activity and books the time since the last change.
  void enter(Activity activity);
  void set_text(std::string_view text);  // cut at 511 bytes
  std::string text() const;

 private:
  explicit MappedPage(Page* page) : page_(page) {}
  Page* page_;
};

// Notes on the page which record is at work: two stores a record.
class RecordMark {
 public:
  RecordMark() = default;  // notes nothing
  explicit RecordMark(Page& page) : page_(&page) {}

  void batch(std::uint64_t source, std::uint64_t first_offset) {
    source_ = source;
    first_offset_ = first_offset;
  }
  void record(std::uint32_t offset_delta) {
    if (page_ == nullptr) return;
    page_->at_offset.store(first_offset_ + offset_delta, std::memory_order_relaxed);
    page_->at_source.store(source_, std::memory_order_release);
  }
  void none() {
    if (page_ != nullptr) page_->at_source.store(0, std::memory_order_relaxed);
  }
  void guarded(bool on) {
    if (page_ != nullptr) page_->at_guarded.store(on ? 1 : 0, std::memory_order_relaxed);
  }

 private:
  Page* page_ = nullptr;
  std::uint64_t source_ = 0;
  std::uint64_t first_offset_ = 0;
};

inline void add(std::atomic<std::uint64_t>& counter, std::uint64_t count) {
  counter.store(counter.load(std::memory_order_relaxed) + count, std::memory_order_relaxed);
}

}  // namespace leat::stage
