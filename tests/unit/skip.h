// The rest of a test case cannot be run here: says so and why, for scripts/test to say it at its end.
#pragma once

#include <doctest/doctest.h>

#include <cstdio>
#include <cstdlib>

// NOLINTNEXTLINE(cppcoreguidelines-macro-usage): it returns
#define LEAT_SKIP(why)                                                                                \
  do {                                                                                                \
    std::fprintf(stderr, "SKIPPED %s: %s\n", doctest::getContextOptions()->currentTest->m_name, why); \
    return;                                                                                           \
  } while (false)

// scripts/test --arm64 says so: qemu translates system calls, and some not quite.
inline bool under_qemu() {
  return std::getenv("LEAT_UNDER_QEMU") != nullptr;
}
