// The window: what the reader has sent and the writer has not accepted yet. It bounds what the whole pipeline
// holds, and it is what the reader sends again when a worker that held some of it has died.
//
// Which worker has a batch is known from what was dealt (the filter) and from the filters' credits (the processor). News of a
// death may come before the credit that tells what the dead one had, so the dead are remembered.
//
// A batch counts as what it is or what it may become, its grant, whichever is more. What the writer says was cut off is sent
// as the next part of its sequence number, in the way of what is sent again: so it needs no room, as it has it already.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <vector>

#include "proto/batch.h"
#include "proto/control.h"
#include "proto/flow.h"
#include "proto/payload_pool.h"
#include "workers/reader/growth.h"

namespace leat::reader {

// A batch larger than this travels with nothing else in the window: it may take several times its size
// elsewhere.
inline constexpr std::size_t kTravelsAlone = 1024 * 1024;
inline constexpr double kWorkUs = 2'000'000;

class Window {
 public:
  Window(std::uint64_t max_bytes, std::size_t max_batches, const proto::PayloadPool& payloads)
      : max_bytes_(max_bytes), max_batches_(max_batches), payloads_(payloads) {}

  // What is over it now leaves as it is accepted.
  void resize(std::uint64_t max_bytes, std::size_t max_batches) {
    max_bytes_ = max_bytes;
    max_batches_ = max_batches;
  }

  // May this batch be sent now, with the grant that it has? An empty window has room for any one.
  bool has_room(const proto::Header& header) const {
    if (sent_.empty()) return true;
    if (header.records_bytes > kTravelsAlone || alone_) return false;
    return sent_.size() < max_batches_ && bytes_ + charge(header) <= max_bytes_;
  }

  // Is there work for not more than kWorkUs in it, by what a record takes a processor (0: not known yet)? A stop or a drain
  // waits for no more than that. A few batches for each processor that is known always may be there.
  bool has_time(double record_us) const;

  // Keeps what was sent to the worker instance `to`. Precondition: sequence numbers ascend by one.
  void sent(proto::Batch batch, std::uint32_t to);

  // How far the writer is: whole batches, and parts of the next one.
  void accepted(const proto::Accepted& accepted);

  // A filter has passed a batch on, or could not use it.
  void credit(const proto::Credit& credit);
  // Whatever that instance had is to be sent again; 0: everything is.
  void resend(std::uint32_t instance);
  // The record becomes a reject of its batch, which is to be sent again. False: it is not in the window.
  bool quarantine(const proto::Quarantine& record);

  // The oldest one; nullptr: none.
  const proto::Batch* oldest() const { return sent_.empty() ? nullptr : &sent_.front().batch; }
  // One that was refused again and again while nothing was accepted: sending it again will not help. nullptr: none.
  const proto::Batch* hopeless() const;

  bool wants_resend() const { return resend_ > 0; }
  // The first batch that is to be sent again, or the rest of one; then say which instance it went to. Precondition: wants_resend().
  proto::Batch& next_resend(const Growth& growth);
  void resent(std::uint32_t to);

  bool empty() const { return sent_.empty(); }
  std::size_t batches() const { return sent_.size(); }
  std::uint64_t bytes() const { return bytes_; }              // that are charged
  std::uint64_t input_bytes() const { return input_bytes_; }  // of records that the writer has not taken

 private:
  struct Entry {
    proto::Batch batch;
    std::uint32_t filter = 0;     // instance it was dealt to
    std::uint32_t processor = 0;  // instance it was passed on to, as far as known
    bool resend = false;
    int refusals = 0;                   // since something was accepted
    std::uint32_t part = 0;             // how many parts the writer has taken
    std::size_t begin = 0;              // of what it has not, in the records
    std::uint64_t lines = 0;            // of the source before that
    std::uint32_t wanted = 0;           // by the record there
    std::optional<proto::Batch> piece;  // that part, once it was sent
    std::size_t charge = 0;
    std::uint64_t line_count() const {
      const proto::Header& header = batch.header();
      return header.kind == proto::BatchKind::kRecords ? header.end_line - (header.first_line - 1) : 0;
    }
    // Events are no input.
    std::size_t input() const {
      return batch.header().kind == proto::BatchKind::kRecords ? batch.header().records_bytes - begin : 0;
    }
  };
  static std::size_t charge(const proto::Header& header) {
    return std::max(header.records_bytes, header.grant);
  }
  void take_part(const proto::Accepted& accepted);
  proto::Batch make_piece(const Entry& entry, const Growth& growth) const;
  Entry* find(std::uint64_t sequence);
  void mark(Entry& entry);
  bool is_dead(std::uint32_t instance) const;

  std::uint64_t max_bytes_;
  std::size_t max_batches_;
  const proto::PayloadPool& payloads_;
  std::deque<Entry> sent_;
  std::deque<std::uint32_t> dead_;  // the last few
  std::size_t resend_ = 0;          // entries to be sent again
  std::uint64_t bytes_ = 0;
  std::uint64_t input_bytes_ = 0;
  std::uint64_t lines_ = 0;
  bool alone_ = false;
  bool refused_ = false;  // some have refusals
  std::uint64_t last_accepted_ = 0;
  std::uint32_t last_part_ = 0;
};

// The lines [begin, end) of a batch of records, `lines` of the source before them, as a part of its sequence number, with
// the rejects that stand in them.
proto::Batch part_of(const proto::Batch& batch, std::size_t begin, std::size_t end, std::uint64_t lines,
                     const proto::PayloadPool& payloads);

// The batch with the record at record.offset blanked out and a reject of it added; nullopt: the batch does not hold
// the record. A blank line is no record, so lines and offsets of the others stay.
std::optional<proto::Batch> without_record(const proto::Batch& batch, const proto::Quarantine& record,
                                           const proto::PayloadPool& payloads);

}  // namespace leat::reader
