// Errors as values. A fault is named by what the caller does next, not by where it came from.
#pragma once

#include <cstdint>
#include <string>
#include <tl/expected.hpp>
#include <type_traits>
#include <utility>

namespace leat {

enum class Fault : std::uint8_t {
  kRetry = 1,   // a fault that may pass: the same call may succeed later
  kReject = 2,  // this record, batch or source is bad; continue with the next one
  kFatal = 3,   // the run cannot continue
};

// Exit codes of every program (sysexits.h), as DESIGN.md section 2 fixes them.
enum ExitCode : int {
  kExitOk = 0,
  kExitUsage = 64,
  kExitStrict = 65,
  kExitNoInput = 66,
  kExitBug = 70,
  kExitIo = 74,
  kExitStopped = 75,
  kExitConfig = 78,
};

struct Error {
  Fault fault = Fault::kFatal;
  std::string text;  // what was expected, what came, where, and what to do; UTF-8, no newline at the end
  int exit_code = kExitIo;  // what a program ends with when this is what ended it
};

template <class T>
using Result = tl::expected<T, Error>;

[[nodiscard]] inline tl::unexpected<Error> fail(Fault fault, std::string text, int exit_code = kExitIo) {
  return tl::unexpected<Error>(Error{fault, std::move(text), exit_code});
}

template <class T>
T value_of(Result<T>&& result) {
  if constexpr (!std::is_void_v<T>) return *std::move(result);
}

// A broken invariant: prints file, line and text to stderr and aborts. Stays on in release builds.
[[noreturn]] void check_failed(const char* file, int line, const char* expression, const std::string& values);

}  // namespace leat

// The value, or the function around it returns the error: `auto fd = LEAT_TRY(open(path));`, `LEAT_TRY(sync(fd));`. A whole
// statement or initialiser: on the way out nothing else of an expression that it is in would be destroyed.
#define LEAT_TRY(...)                                                        \
  __extension__({                                                            \
    auto leat_result = __VA_ARGS__;                                          \
    if (!leat_result) return tl::unexpected(std::move(leat_result).error()); \
    ::leat::value_of(std::move(leat_result));                                \
  })

#define LEAT_CHECK(condition, values)                                 \
  do {                                                                \
    if (!(condition)) [[unlikely]]                                    \
      ::leat::check_failed(__FILE__, __LINE__, #condition, (values)); \
  } while (false)
