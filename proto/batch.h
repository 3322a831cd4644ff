// The batch: a run of whole, consecutive records of one source, or one event of a source's life, as it
// crosses a process boundary. PROTOCOL.md describes every byte; this type and its pool (payload_pool.h) alone know
// where a payload lives.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "proto/arena.h"
#include "proto/base/result.h"
#include "proto/buffer.h"
#include "proto/channel.h"

namespace leat::proto {

class PayloadPool;

inline constexpr std::uint32_t kBatchMagic = 0x5441454C;  // "LEAT"
inline constexpr std::uint16_t kBatchVersion = 4;
inline constexpr std::size_t kHeaderBytes = 192;

// Explicit values, never renumbered.
// But for records, the records section is one JSON object: proto/source_event.h.
enum class BatchKind : std::uint8_t {
  kRecords = 1,
  kSourceOpened = 2,
  kSourceEnded = 3,
  kSourceFailed = 4,
  kSourceChanged = 5,
  kEndOfInput = 6,
  kSourceMoved = 7,
  kSourceFinished = 8,
  kPresence = 9,
  kInputRead = 10,
};

enum class Stage : std::uint8_t { kReader = 1, kFilter = 2, kProcessor = 3, kWriter = 4 };
std::string_view to_string(Stage stage);

// All counts are of records, all offsets of bytes in the uncompressed source unless they say otherwise.
struct Header {
  BatchKind kind = BatchKind::kRecords;
  std::uint8_t flags = 0;              // kUnterminated, kCut
  std::uint64_t pipeline = 0;          // XXH3-64 of the pipeline's name
  std::uint64_t epoch = 0;             // of the run; batches of another one are dropped unprocessed
  std::uint64_t sequence = 0;          // 1, 2, 3 ... without gaps within an epoch
  std::uint64_t source = 0;            // number of the source in the ledger, from 1; 0: none
  std::uint64_t first_line = 0;        // line number (from 1) of the first line the batch was made from
  std::uint64_t first_offset = 0;      // where that line begins
  std::uint64_t end_line = 0;          // the position after the batch: lines before it ...
  std::uint64_t end_offset = 0;        // ... and bytes before it
  std::uint64_t frame_offset = 0;      // compressed offset of the last frame start before the position
  std::uint64_t frame_raw_offset = 0;  // and its uncompressed offset
  std::uint64_t tail_hash = 0;         // XXH3-64 of the tail_bytes uncompressed bytes before the position
  std::uint32_t tail_bytes = 0;        // min(64 KiB, end_offset - frame_raw_offset)
  std::uint32_t in = 0;  // records that came in: in = kept + dropped + rejected once the filter is through
  std::uint32_t kept = 0;
  std::uint32_t dropped = 0;
  std::uint32_t rejected = 0;
  std::uint32_t out = 0;         // records in the records section
  std::uint32_t attempt = 0;     // 0 the first time
  std::uint32_t filter_us = 0;   // service time
  std::uint32_t process_us = 0;  // service time
  std::uint32_t dealt_by = 0;    // index of the worker that dealt it: its credit goes back there
  // 0: the records are consecutive lines from first_line on, blank ones included
  std::uint32_t table_entries = 0;
  std::uint32_t records_bytes = 0;
  std::uint32_t rejects_bytes = 0;
  std::uint32_t grant = 0;  // bytes that each result may take, records and rejects; 0: as many as it wants
  std::uint32_t part = 0;  // of the sequence number's lines, from 0; each begins where the one before was cut
  // the most bytes that a stage made of it; of an empty cut: what its first record needs
  std::uint32_t made = 0;

  // the source's last line had no newline; the reader added one
  static constexpr std::uint8_t kUnterminated = 1;
  // The position after it is not the end of the sequence number: more parts follow. It has no tail, so it is no place to
  // commit.
  static constexpr std::uint8_t kCut = 4;

  bool cut() const { return (flags & kCut) != 0; }
  // It ends before that line and offset of the source; another part begins there.
  void cut_at(std::uint64_t lines, std::uint64_t offset);
};

inline constexpr std::size_t kOriginBytes = 12;  // of a record in the table

// Where a record comes from, relative to the batch's first_line and first_offset.
struct Origin {
  std::uint32_t line_delta = 0;
  std::uint32_t offset_delta = 0;
};

// Of a record in a batch that has lost others: where it comes from, and how many records of the batch's input come before
// it.
struct TableEntry {
  Origin origin;
  std::uint32_t before = 0;
};

// A record on its way to the dead-letter file. The views live as long as the batch they came from.
struct Reject {
  Origin origin;
  Stage stage = Stage::kFilter;
  std::uint8_t attempts = 1;
  bool by_reference = false;  // the record's bytes are not here, only its length (longer than max_record)
  std::uint64_t record_bytes = 0;  // length of the record, without its newline
  std::string_view reason;         // UTF-8, at most kMaxReasonBytes
  std::string_view record;
};
inline constexpr std::size_t kMaxReasonBytes = 1024;

// What encode_reject will append.
std::size_t encoded_bytes(const Reject& reject);

// Appends one reject to a rejects section. A longer reason is cut.
void encode_reject(Buffer& rejects, const Reject& reject);

// Calls `each` for every reject of a section, in order. Fails (kReject) on a section that does not add up.
[[nodiscard]] Result<void> decode_rejects(std::string_view section,
                                          const std::function<void(const Reject&)>& each);

// A received or sealed batch. Its payload is in the message, or in a slot of the producer's arena (arena.h), which the
// message then only names. Either is given back when the batch ends.
class Batch {
 public:
  // Takes a message apart. Fails with kReject: wrong magic or version, a checksum that does not match,
  // sections that do not add up to the message, a body over max_bytes, an unknown kind, a slot that the pool cannot get at.
  [[nodiscard]] static Result<Batch> decode(Message message, std::uint64_t max_bytes, PayloadPool& pool);

  // Makes a batch of `records` without copying them: they must have been built with kHeaderBytes of headroom, in the pool's
  // payloads.
  // The table and the rejects section are appended. Sets records_bytes, table_entries and rejects_bytes. Aborts on a
  // section of 4 GiB: every stage keeps to its grant.
  [[nodiscard]] static Batch seal(Header header, Buffer records, std::span<const TableEntry> table = {},
                                  std::string_view rejects = {});

  const Header& header() const { return header_; }
  std::string_view records() const;  // kTailPadding readable bytes follow
  std::string_view rejects() const;
  void table(std::vector<TableEntry>& into) const;  // replaces what is there: table_entries of them
  std::size_t payload_bytes() const;                // header and padding included

  // The same payload under a changed header (only fields that do not describe sections may differ). The
  // message must not be shared: made for a stage that passes a batch on as it is.
  [[nodiscard]] Batch reseal(const Header& header) &&;

  // A message to send to the worker instance `receiver`; the batch keeps its own hold on the bytes. One that names a
  // slot must be sent: its receiver gives the slot back, or Arena::reclaim does when the receiver has died. A slot is
  // announced once; a batch that was announced before travels with its bytes inside the message.
  Message share(std::uint32_t receiver);
  // The bytes themselves in the message, whatever else holds them.
  Message share_inline() const;

 private:
  std::string_view bytes() const;  // header, records, table, rejects, padding

  Header header_;
  Message message_;  // empty when the payload is in a slot
  Slot slot_;
};

// Exposed for tests and fuzzers: the fixed part alone, of a batch whose payload is in its message.
void encode_header(const Header& header, char* into);  // kHeaderBytes
[[nodiscard]] Result<Header> decode_header(std::string_view message);

std::uint64_t pipeline_id(std::string_view name);

}  // namespace leat::proto
