// The rest of a test case cannot be run here: says so and why, for scripts/test to say it at its end.
#pragma once

#include <doctest/doctest.h>

#include <cstdio>

// NOLINTNEXTLINE(cppcoreguidelines-macro-usage): it returns
#define LEAT_SKIP(why)                                                                                \
  do {                                                                                                \
    std::fprintf(stderr, "SKIPPED %s: %s\n", doctest::getContextOptions()->currentTest->m_name, why); \
    return;                                                                                           \
  } while (false)
