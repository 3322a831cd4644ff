// Turns what the read-ahead thread found into batches, without sequence numbers yet.
#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>

#include "proto/batch.h"
#include "proto/payload_pool.h"
#include "workers/reader/events.h"

namespace leat::reader {

class Batches {
 public:
  Batches(std::uint64_t pipeline, std::uint64_t epoch, std::uint64_t max_record_bytes,
          const proto::PayloadPool& payloads)
      : max_record_bytes_(max_record_bytes), payloads_(payloads) {
    common_.pipeline = pipeline;
    common_.epoch = epoch;
  }

  // Takes an event in; Listed, Note and End are the caller's. Precondition: next() has returned nullopt.
  void take(Event event);

  // The next batch of what was taken in: whole lines, about target_bytes of them, and about target_lines at the most (a
  // chunk that was read under a larger target is cut again), or nullopt.
  [[nodiscard]] std::optional<proto::Batch> next(
      std::size_t target_bytes, std::size_t target_lines = std::numeric_limits<std::size_t>::max());

  [[nodiscard]] proto::Batch end_of_input(bool stopped, std::uint64_t done) const;

 private:
  // The batch of an event, if it has one.
  std::optional<proto::Batch> seal(const SourceOpened& opened) const;
  std::optional<proto::Batch> seal(const SourceEnded& ended) const;
  std::optional<proto::Batch> seal(const SourceFailed& failed) const;
  std::optional<proto::Batch> seal(const SourceChanged& changed) const;
  std::optional<proto::Batch> seal(const SourceMoved& moved) const;
  std::optional<proto::Batch> seal(const SourceFinished& finished) const;
  std::optional<proto::Batch> seal(const Presence& event) const;
  std::optional<proto::Batch> seal(const InputRead& read) const;
  template <class Other>
  std::optional<proto::Batch> seal(const Other&) const {
    return std::nullopt;
  }
  // One of proto/source_event.h, as a batch of this source; at: the position of what was read of it.
  template <class Event>
  proto::Batch seal_event(std::uint64_t source, Event event, const Position* at = nullptr) const;
  proto::Batch records(Chunk chunk);
  proto::Batch oversize(const Chunk& chunk) const;
  Chunk cut(std::size_t target_bytes, std::size_t target_lines);

  std::uint64_t max_record_bytes_;
  const proto::PayloadPool& payloads_;
  proto::Header common_;
  std::uint64_t source_ = 0;
  FrameMark frame_;  // at or before the start of chunk_
  std::optional<Chunk> chunk_;
  std::size_t cut_ = 0;  // bytes of chunk_ that have left
  std::optional<proto::Batch> event_;
};

}  // namespace leat::reader
