#include "proto/flow.h"

#include <array>

#include "proto/base/bytes.h"

namespace leat::proto {

namespace {

constexpr std::uint32_t kCreditMagic = 0x3252434C;    // "LCR2"
constexpr std::uint32_t kAcceptedMagic = 0x3243414C;  // "LAC2"
constexpr std::size_t kCreditBytes = 48;
constexpr std::size_t kAcceptedBytes = 72;

}  // namespace

Message encode(const Credit& credit) {
  std::array<char, kCreditBytes> bytes{};
  ByteWriter writer(bytes.data());
  writer.put(kCreditMagic);
  writer.put(credit.worker);
  writer.put(credit.epoch);
  writer.put(credit.sequence);
  writer.put(credit.service_us);
  writer.put(credit.records);
  writer.put(credit.instance);
  writer.put(credit.dealt_to);
  writer.put(std::uint32_t{credit.refused ? 1U : 0U});
  return Message(std::string_view(bytes.data(), bytes.size()));
}

Message encode(const Accepted& accepted) {
  std::array<char, kAcceptedBytes> bytes{};
  ByteWriter writer(bytes.data());
  writer.put(kAcceptedMagic);
  writer.put(accepted.process_us);
  writer.put(accepted.epoch);
  writer.put(accepted.accepted);
  writer.put(accepted.committed);
  writer.put(accepted.records);
  writer.put(accepted.growth);
  writer.put(accepted.input_bytes);
  writer.put(accepted.part);
  writer.put(accepted.wanted);
  writer.put(accepted.cut_line);
  writer.put(accepted.cut_offset);
  return Message(std::string_view(bytes.data(), bytes.size()));
}

Result<Credit> decode_credit(std::string_view message) {
  ByteReader reader(message);
  if (message.size() != kCreditBytes || reader.get<std::uint32_t>() != kCreditMagic) {
    return fail(Fault::kReject, "not a credit message of this version");
  }
  Credit credit;
  credit.worker = reader.get<std::uint32_t>();
  credit.epoch = reader.get<std::uint64_t>();
  credit.sequence = reader.get<std::uint64_t>();
  credit.service_us = reader.get<std::uint32_t>();
  credit.records = reader.get<std::uint32_t>();
  credit.instance = reader.get<std::uint32_t>();
  credit.dealt_to = reader.get<std::uint32_t>();
  credit.refused = reader.get<std::uint32_t>() != 0;
  return credit;
}

Result<Accepted> decode_accepted(std::string_view message) {
  ByteReader reader(message);
  if (message.size() != kAcceptedBytes || reader.get<std::uint32_t>() != kAcceptedMagic) {
    return fail(Fault::kReject, "not an accepted message of this version");
  }
  Accepted accepted;
  accepted.process_us = reader.get<std::uint32_t>();
  accepted.epoch = reader.get<std::uint64_t>();
  accepted.accepted = reader.get<std::uint64_t>();
  accepted.committed = reader.get<std::uint64_t>();
  accepted.records = reader.get<std::uint32_t>();
  accepted.growth = reader.get<std::uint32_t>();
  accepted.input_bytes = reader.get<std::uint64_t>();
  accepted.part = reader.get<std::uint32_t>();
  accepted.wanted = reader.get<std::uint32_t>();
  accepted.cut_line = reader.get<std::uint64_t>();
  accepted.cut_offset = reader.get<std::uint64_t>();
  return accepted;
}

}  // namespace leat::proto
