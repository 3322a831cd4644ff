// Anything as the records section of a batch of every kind: an event, or an error. What is an event is written as it is read.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>

#include "proto/source_event.h"

using namespace leat::proto;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const std::string_view json(reinterpret_cast<const char*>(data) + 1, size - 1);
  auto event = decode_source_event(static_cast<BatchKind>(data[0] % 12), json);
  if (!event) return 0;
  const auto kind = std::visit([](const auto& what) { return what.kKind; }, *event);
  const leat::Buffer written = encode_payload(*event);
  auto again = decode_source_event(kind, {written.data(), written.size()});
  if (!again) std::abort();
  const leat::Buffer twice = encode_payload(*again);
  if (written.view() != twice.view()) std::abort();
  return 0;
}
