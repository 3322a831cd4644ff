// Anything as a control message: one, or an error. What is one is written as it is read.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>

#include "proto/control.h"

using namespace leat::proto;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  auto control = decode_control({reinterpret_cast<const char*>(data), size});
  if (!control) return 0;
  const Message written = encode(*control);
  auto again = decode_control(written.view());
  if (!again || encode(*again).view() != written.view()) std::abort();
  return 0;
}
