// Anything as a line of a dead-letter file: a letter, or none. What is a letter is written as it is read.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>

#include "proto/dead_letter.h"

using namespace leat::proto;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto letter = parse_dead_letter({reinterpret_cast<const char*>(data), size});
  if (!letter) return 0;
  std::string line;
  append_line(line, *letter);
  line.pop_back();
  const auto again = parse_dead_letter(line);
  if (!again || again->source != letter->source || again->record != letter->record) std::abort();
  std::string twice;
  append_line(twice, *again);
  if (twice != line + "\n") std::abort();
  return 0;
}
