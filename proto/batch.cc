#include "proto/batch.h"

#include <fmt/format.h>
#include <xxhash.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <limits>
#include <utility>

#include "proto/base/bytes.h"
#include "proto/control.h"
#include "proto/payload_pool.h"

namespace leat::proto {

namespace {

constexpr std::size_t kRejectFixedBytes = 24;
constexpr std::size_t kChecksumOffset = kHeaderBytes - 8;
constexpr std::uint8_t kRejectByReference = 1;
constexpr std::uint8_t kFlagInSlot = 2;  // on the wire only: the payload is in the sender's arena
constexpr std::size_t kSlotOffset = 144;
constexpr std::size_t kTailOffset = 148;  // tail_bytes, tail_hash
constexpr std::size_t kArenaOffset = 160;
constexpr std::size_t kGrantOffset = 168;  // grant, part, made

// Position of each section within the message: header, records, table, rejects, padding. The records stand
// right behind the header so that they can be built in place before the sizes of the others are known.
struct Layout {
  explicit Layout(const Header& header)
      : table(kHeaderBytes + header.records_bytes),
        rejects(table + std::size_t{header.table_entries} * kOriginBytes),
        end(rejects + header.rejects_bytes + kTailPadding) {}
  std::size_t table;
  std::size_t rejects;
  std::size_t end;
};

void put_checksum(char* header) {
  ByteWriter(header + kChecksumOffset).put(static_cast<std::uint64_t>(XXH3_64bits(header, kChecksumOffset)));
}

}  // namespace

std::string_view to_string(Stage stage) {
  for (const auto& [known, name] : names_of(stage)) {
    if (known == stage) return name;
  }
  return "unknown";
}

void Header::cut_at(std::uint64_t lines, std::uint64_t offset) {
  flags = static_cast<std::uint8_t>((flags | kCut) & ~kUnterminated);
  end_line = lines;
  end_offset = offset;
  tail_bytes = 0;
  tail_hash = 0;
}

std::uint64_t pipeline_id(std::string_view name) {
  return XXH3_64bits(name.data(), name.size());
}

void encode_header(const Header& header, char* into) {
  std::memset(into, 0, kHeaderBytes);
  ByteWriter writer(into);
  writer.put(kBatchMagic);
  writer.put(kBatchVersion);
  writer.put(static_cast<std::uint8_t>(header.kind));
  writer.put(header.flags);
  for (std::uint64_t field :
       {header.pipeline, header.epoch, header.sequence, header.source, header.first_line, header.first_offset,
        header.end_line, header.end_offset, header.frame_offset, header.frame_raw_offset}) {
    writer.put(field);
  }
  for (std::uint32_t field : {header.in, header.kept, header.dropped, header.rejected, header.out,
                              header.attempt, header.filter_us, header.process_us, header.dealt_by,
                              header.table_entries, header.records_bytes, header.rejects_bytes}) {
    writer.put(field);
  }
  ByteWriter tail(into + kTailOffset);
  tail.put(header.tail_bytes);
  tail.put(header.tail_hash);
  ByteWriter grant(into + kGrantOffset);
  for (std::uint32_t field : {header.grant, header.part, header.made}) grant.put(field);
  put_checksum(into);
}

Result<Header> decode_header(std::string_view message) {
  if (message.size() < kHeaderBytes) {
    return fail(Fault::kReject,
                fmt::format("batch: expected a header of {} bytes, got {}", kHeaderBytes, message.size()));
  }
  ByteReader reader(message.substr(0, kHeaderBytes));
  if (auto magic = reader.get<std::uint32_t>(); magic != kBatchMagic) {
    return fail(Fault::kReject, fmt::format("batch: expected magic {:08x}, got {:08x}", kBatchMagic, magic));
  }
  if (auto version = reader.get<std::uint16_t>(); version != kBatchVersion) {
    return fail(Fault::kReject,
                fmt::format("batch: expected version {}, got {}: all programs must be of one release",
                            kBatchVersion, version));
  }
  auto sum = ByteReader(message.substr(kChecksumOffset, 8)).get<std::uint64_t>();
  if (sum != XXH3_64bits(message.data(), kChecksumOffset)) {
    return fail(Fault::kReject, "batch: the header's checksum does not match");
  }
  Header header;
  auto kind = reader.get<std::uint8_t>();
  if (kind < 1 || kind > static_cast<std::uint8_t>(BatchKind::kInputRead)) {
    return fail(Fault::kReject, fmt::format("batch: unknown kind {}", kind));
  }
  header.kind = static_cast<BatchKind>(kind);
  header.flags = reader.get<std::uint8_t>();
  for (std::uint64_t* field : {&header.pipeline, &header.epoch, &header.sequence, &header.source,
                               &header.first_line, &header.first_offset, &header.end_line, &header.end_offset,
                               &header.frame_offset, &header.frame_raw_offset}) {
    *field = reader.get<std::uint64_t>();
  }
  for (std::uint32_t* field : {&header.in, &header.kept, &header.dropped, &header.rejected, &header.out,
                               &header.attempt, &header.filter_us, &header.process_us, &header.dealt_by,
                               &header.table_entries, &header.records_bytes, &header.rejects_bytes}) {
    *field = reader.get<std::uint32_t>();
  }
  ByteReader tail(message.substr(kTailOffset, 12));
  header.tail_bytes = tail.get<std::uint32_t>();
  header.tail_hash = tail.get<std::uint64_t>();
  ByteReader grant(message.substr(kGrantOffset, 12));
  for (std::uint32_t* field : {&header.grant, &header.part, &header.made})
    *field = grant.get<std::uint32_t>();
  return header;
}

Result<Batch> Batch::decode(Message message, std::uint64_t max_bytes, PayloadPool& pool) {
  if (message.size() > max_bytes) {
    return fail(Fault::kReject,
                fmt::format("batch: {} bytes are over the cap of {}", message.size(), max_bytes));
  }
  auto header = LEAT_TRY(decode_header(message.view()));
  std::size_t end = Layout(header).end;
  Batch batch;
  if ((header.flags & kFlagInSlot) != 0) {
    if (message.size() != kHeaderBytes || end > max_bytes) {
      return fail(Fault::kReject,
                  fmt::format("batch: {} bytes in a slot, announced in {}", end, message.size()));
    }
    header.flags = static_cast<std::uint8_t>(header.flags & ~kFlagInSlot);
    auto number = ByteReader(message.view().substr(kSlotOffset, 4)).get<std::uint32_t>();
    auto arena = ByteReader(message.view().substr(kArenaOffset, 8)).get<std::uint64_t>();
    batch.slot_ = LEAT_TRY(pool.received(arena, number, end));

  } else {
    if (end != message.size()) {
      return fail(Fault::kReject,
                  fmt::format("batch: its sections take {} bytes, the message has {}", end, message.size()));
    }
    batch.message_ = std::move(message);
  }
  batch.header_ = header;
  if (auto records = batch.records();
      header.kind == BatchKind::kRecords && !records.empty() && records.back() != '\n') {
    return fail(Fault::kReject, "batch: the last record has no newline");
  }
  return batch;
}

Batch Batch::seal(Header header, Buffer records, std::span<const TableEntry> table,
                  std::string_view rejects) {
  if (records.headroom() != kHeaderBytes) {
    LEAT_CHECK(records.empty(), "records were built without room for a header");
    records = Buffer(0, kHeaderBytes);
  }
  LEAT_CHECK(std::max({records.size(), table.size() * kOriginBytes, rejects.size()}) <=
                 std::numeric_limits<std::uint32_t>::max(),
             "a section of a batch over 4 GiB");
  header.records_bytes = static_cast<std::uint32_t>(records.size());
  header.table_entries = static_cast<std::uint32_t>(table.size());
  header.rejects_bytes = static_cast<std::uint32_t>(rejects.size());
  if (!table.empty()) {
    std::size_t at = records.size();
    records.resize(at + table.size() * kOriginBytes);
    ByteWriter writer(records.data() + at);
    for (const TableEntry& entry : table) {
      writer.put(entry.origin.line_delta);
      writer.put(entry.origin.offset_delta);
      writer.put(entry.before);
    }
  }
  records.append(rejects);
  Batch batch;
  batch.header_ = header;
  if (records.in_slot()) {
    std::memset(records.data() + records.size(), 0, kTailPadding);
    batch.slot_ = records.release_slot();
    return batch;
  }
  records.shrink();
  encode_header(header, records.base());
  batch.message_ = Message::adopt(std::move(records));
  return batch;
}

std::string_view Batch::bytes() const {
  return slot_ ? std::string_view(slot_.data(), Layout(header_).end) : message_.view();
}

std::size_t Batch::payload_bytes() const {
  return bytes().size();
}

Message Batch::share(std::uint32_t receiver) {
  if (!slot_) return message_.share();
  if (!slot_.announce(receiver)) return share_inline();
  std::array<char, kHeaderBytes> bytes{};
  Header announced = header_;
  announced.flags |= kFlagInSlot;
  encode_header(announced, bytes.data());
  ByteWriter(bytes.data() + kSlotOffset).put(slot_.number());
  ByteWriter(bytes.data() + kArenaOffset).put(slot_.arena().id());
  put_checksum(bytes.data());
  return Message(std::string_view(bytes.data(), bytes.size()));
}

Message Batch::share_inline() const {
  if (!slot_) return message_.share();
  std::string_view all = bytes();
  Message message(all);
  encode_header(header_, message.data());
  return message;
}

std::string_view Batch::records() const {
  return bytes().substr(kHeaderBytes, header_.records_bytes);
}

std::string_view Batch::rejects() const {
  return bytes().substr(Layout(header_).rejects, header_.rejects_bytes);
}

void Batch::table(std::vector<TableEntry>& into) const {
  ByteReader reader(bytes().substr(Layout(header_).table, header_.table_entries * kOriginBytes));
  into.clear();
  into.reserve(header_.table_entries);
  for (std::uint32_t i = 0; i < header_.table_entries; ++i) {
    ByteReader entry(reader.get_bytes(kOriginBytes));
    Origin origin{entry.get<std::uint32_t>(), entry.get<std::uint32_t>()};
    into.push_back({origin, entry.get<std::uint32_t>()});
  }
}

Batch Batch::reseal(const Header& header) && {
  LEAT_CHECK(header.records_bytes == header_.records_bytes && header.table_entries == header_.table_entries &&
                 header.rejects_bytes == header_.rejects_bytes,
             "a batch was resealed with other sections");
  if (!slot_) encode_header(header, message_.data());
  header_ = header;
  return std::move(*this);
}

std::size_t encoded_bytes(const Reject& reject) {
  return kRejectFixedBytes + std::min(reject.reason.size(), kMaxReasonBytes) +
         (reject.by_reference ? 0 : reject.record.size());
}

void encode_reject(Buffer& rejects, const Reject& reject) {
  std::string_view reason = reject.reason.substr(0, kMaxReasonBytes);
  std::string_view record = reject.by_reference ? std::string_view{} : reject.record;
  std::array<char, kRejectFixedBytes> fixed{};
  ByteWriter writer(fixed.data());
  writer.put(reject.origin.line_delta);
  writer.put(reject.origin.offset_delta);
  writer.put(static_cast<std::uint8_t>(reject.stage));
  writer.put(reject.attempts);
  writer.put(static_cast<std::uint16_t>(reject.by_reference ? kRejectByReference : 0));
  writer.put(static_cast<std::uint32_t>(reason.size()));
  writer.put(reject.by_reference ? reject.record_bytes : static_cast<std::uint64_t>(record.size()));
  rejects.append(fixed.data(), fixed.size());
  rejects.append(reason);
  rejects.append(record);
}

Result<void> decode_rejects(std::string_view section, const std::function<void(const Reject&)>& each) {
  ByteReader reader(section);
  while (!reader.at_end()) {
    Reject reject;
    reject.origin.line_delta = reader.get<std::uint32_t>();
    reject.origin.offset_delta = reader.get<std::uint32_t>();
    auto stage = reader.get<std::uint8_t>();
    reject.attempts = reader.get<std::uint8_t>();
    auto flags = reader.get<std::uint16_t>();
    auto reason_bytes = reader.get<std::uint32_t>();
    reject.record_bytes = reader.get<std::uint64_t>();
    reject.by_reference = (flags & kRejectByReference) != 0;
    if (reason_bytes > kMaxReasonBytes || stage < 1 || stage > 4 || flags > kRejectByReference) {
      return fail(Fault::kReject, "batch: a reject with a reason, stage or flags that cannot be");
    }
    reject.stage = static_cast<Stage>(stage);
    reject.reason = reader.get_bytes(reason_bytes);
    if (!reject.by_reference) reject.record = reader.get_bytes(reject.record_bytes);
    if (!reader.good()) return fail(Fault::kReject, "batch: the rejects section ends in the middle");
    each(reject);
  }
  return {};
}

}  // namespace leat::proto
