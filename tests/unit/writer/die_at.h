// The calls of this program that read or change a file, SQLite's too: they come by here.
#pragma once

#include <cstdint>

namespace leat::test {

// This process ends, as by SIGKILL, at the `call`-th of its calls (from 1) that change a file: before it happens. A death
// by position comes wherever it is wanted, on a fast disk as on a slow one.
void die_at(std::uint64_t call);

// What becomes of a call. kDone: nothing is done, and it has gone well.
enum class CallFate : std::uint8_t { kPass, kFail, kDone };

// Asked before each call, once set; null: no more. what: "write", "sync", "cut", "name", "remove", "read"; path: null if it
// is of a descriptor. A call that fails does so with EIO.
using OnCall = CallFate (*)(const char* what, int fd, const char* path);
void on_call(OnCall ask);

}  // namespace leat::test
