// The input is a file, with the sizes of reads and targets in front of it: whatever they are, the lines are
// the same.
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>

#include "tests/unit/reader/lines.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 4) return 0;
  const std::size_t max_record = 1 + data[0] * 4U;
  const bool failing = (data[1] & 1) != 0;
  std::size_t read_state = data[2];
  std::size_t target_state = data[3];
  const auto next = [](std::size_t& state) { return state = (state * 37 + 11) % 257; };
  const std::string bytes(reinterpret_cast<const char*>(data) + 4, size - 4);
  leat::reader::test::StringSource source(bytes, [&] { return next(read_state); });
  if (failing) source.error = leat::Error{leat::Fault::kReject, "broken"};
  const std::string wrong =
      leat::reader::test::compare(bytes, source, max_record, [&] { return next(target_state) * 4; });
  if (!wrong.empty()) {
    std::fprintf(stderr, "%s\n", wrong.c_str());
    std::abort();
  }
  return 0;
}
