// Anything as what leat-reader --list or leat-filter --describe prints.
#include "proto/explain.h"

#include "tests/fuzz/fields.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  leat::test::fuzz_fields<leat::proto::Listing>(data, size);
  leat::test::fuzz_fields<leat::proto::FilterPlan>(data, size);
  return 0;
}
