// This process ends, as by SIGKILL, at the `call`-th of its calls (from 1) that change a file: before it happens. Calls of
// SQLite count too. A death by position comes wherever it is wanted, on a fast disk as on a slow one.
#pragma once

#include <cstdint>

namespace leat::test {

void die_at(std::uint64_t call);

}  // namespace leat::test
