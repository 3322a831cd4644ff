#include "proto/base/result.h"

#include <cstdio>
#include <cstdlib>

namespace leat {

void check_failed(const char* file, int line, const char* expression, const std::string& values) {
  std::fprintf(stderr, "leat: bug at %s:%d: %s does not hold (%s)\n", file, line, expression, values.c_str());
  std::abort();
}

}  // namespace leat
