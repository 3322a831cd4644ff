#include "workers/stage/test_hook.h"

#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdlib>

namespace leat::stage {

namespace {

bool hooks() {
  return std::getenv("LEAT_TEST_HOOKS") != nullptr;
}

// LEAT_TEST_ROLE_WHAT as a number; 0: not set.
std::uint64_t number(const std::string& role, const char* what) {
  std::string name = "LEAT_TEST_" + role + "_" + what;
  std::transform(name.begin(), name.end(), name.begin(),
                 [](char c) { return c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c; });
  const char* value = std::getenv(name.c_str());
  return value == nullptr ? 0 : std::strtoull(value, nullptr, 10);
}

}  // namespace

TestHook::TestHook(proto::Stage role)
    : on_(hooks()),
      role_(proto::to_string(role)),
      sleep_us_(number(role_, "US")),
      loses_(number(role_, "LOSES")) {}

void TestHook::act(std::string_view record) const {
  if (sleep_us_ > 0) ::usleep(static_cast<useconds_t>(sleep_us_));
  constexpr std::string_view kKey = "\"leat_test\":\"";
  std::size_t at = record.find(kKey);
  if (at == std::string_view::npos) return;
  std::string_view what = record.substr(at + kKey.size());
  if (!what.starts_with(role_ + " ")) return;
  what.remove_prefix(role_.size() + 1);
  if (what.starts_with("segfault")) ::raise(SIGSEGV);
  if (what.starts_with("abort")) ::abort();
  if (what.starts_with("loop")) {
    for (;;) asm volatile("");
  }
}

std::chrono::milliseconds day() {
  const std::uint64_t ms = hooks() ? number("DAY", "MS") : 0;
  return ms > 0 ? std::chrono::milliseconds(ms) : std::chrono::hours(24);
}

}  // namespace leat::stage
