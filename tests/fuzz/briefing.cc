// Anything as the briefing of a worker: one, or an error. What is one is written as it is read.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>

#include "config/encoding.h"
#include "workers/stage/briefing.h"

using namespace leat;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  auto briefing = decode_fields<stage::Briefing>({reinterpret_cast<const char*>(data), size}, "briefing");
  if (!briefing) return 0;
  auto again = decode_fields<stage::Briefing>(encode(*briefing), "briefing");
  if (!again || !(again->pipeline == briefing->pipeline) || encode(*again) != encode(*briefing)) std::abort();
  return 0;
}
