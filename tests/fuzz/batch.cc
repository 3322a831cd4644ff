// Batch, flow and control messages from anybody: refused or understood, never believed beyond their bytes.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include <xxhash.h>

#include "proto/batch.h"
#include "proto/control.h"
#include "proto/flow.h"
#include "proto/payload_pool.h"

using namespace leat::proto;

namespace {

// Reads everything a decoded batch offers, so that a section that lies about its place is caught by the sanitizer.
void use(const Batch& batch) {
  std::size_t sum = 0;
  for (char c : batch.records()) sum += static_cast<unsigned char>(c);
  std::vector<TableEntry> table;
  batch.table(table);
  for (const TableEntry& entry : table) sum += entry.origin.offset_delta;
  auto decoded = decode_rejects(batch.rejects(), [&](const Reject& reject) {
    for (char c : reject.reason) sum += static_cast<unsigned char>(c);
    for (char c : reject.record) sum += static_cast<unsigned char>(c);
  });
  if (sum == 0 && decoded.has_value() && batch.payload_bytes() < kHeaderBytes) std::abort();
}

void try_batch(std::string bytes) {
  PayloadPool pool;
  auto batch = Batch::decode(Message(bytes), 1 << 20, pool);
  if (!batch) return;
  use(*batch);
  // What was understood is written again as it came.
  std::string again(kHeaderBytes, '\0');
  encode_header(batch->header(), again.data());
  auto header = decode_header(again);
  if (!header || header->records_bytes != batch->header().records_bytes) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  std::string bytes(reinterpret_cast<const char*>(data), size);
  try_batch(bytes);
  if (size >= kHeaderBytes) {
    // The checksum would keep the fuzzer out: once more with one that fits.
    std::uint64_t sum = XXH3_64bits(bytes.data(), kHeaderBytes - 8);
    for (std::size_t i = 0; i < 8; ++i) bytes[kHeaderBytes - 8 + i] = static_cast<char>(sum >> (8 * i));
    try_batch(bytes);
  }
  static_cast<void>(decode_rejects(bytes, [](const Reject&) {}));
  static_cast<void>(decode_credit(bytes));
  static_cast<void>(decode_accepted(bytes));
  if (auto control = decode_control(bytes)) {
    auto again = decode_control(encode(*control).view());
    if (!again || again->index() != control->index()) std::abort();
  }
  return 0;
}
