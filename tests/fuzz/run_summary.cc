// Anything as the details of the writer's last report.
#include "proto/run_summary.h"

#include "tests/fuzz/fields.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  leat::test::fuzz_fields<leat::proto::RunSummary>(data, size);
  return 0;
}
