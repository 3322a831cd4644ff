#include "workers/reader/tail.h"

#include <xxhash.h>
#ifdef __x86_64__
#include <xxh_x86dispatch.h>  // by what the processor has: half the time on AVX2
#endif

namespace leat::reader {

Mark mark_of(std::string_view bytes) {
  return {XXH3_64bits(bytes.data(), bytes.size()), static_cast<std::uint32_t>(bytes.size())};
}

bool begins_with(std::string_view bytes, const Mark& mark) {
  return mark.bytes == 0 || (bytes.size() >= mark.bytes && mark_of(bytes.substr(0, mark.bytes)) == mark);
}

bool ends_with(std::string_view bytes, const Mark& mark) {
  return mark.bytes == 0 ||
         (bytes.size() >= mark.bytes && mark_of(bytes.substr(bytes.size() - mark.bytes)) == mark);
}

}  // namespace leat::reader
