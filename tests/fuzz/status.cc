// Anything as what leatd says to `leat status`.
#include "proto/status.h"

#include "tests/fuzz/fields.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  leat::test::fuzz_fields<leat::proto::Status>(data, size);
  return 0;
}
