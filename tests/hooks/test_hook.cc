// workers/stage/test_hook.h as the programs in build/test-bin have it: does what the environment and records say. Nothing
// without LEAT_TEST_HOOKS in a worker's environment. Then a record that holds "leat_test":"WHAT" gets in the ROLE it names
//   "ROLE segfault", "ROLE abort", "ROLE loop" (for ever)
//   "ROLE open PATH", "ROLE see PATH" (stat), "ROLE connect ADDRESS:PORT", "ROLE write PATH" (opens for writing),
//   "ROLE make PATH", "ROLE remove PATH", "ROLE run PATH" (execve), "ROLE trace parent": tries it, and says on stderr what
//   came of it; /parent/ in a path is the process that started the worker. In the reader and the writer one a batch.
//   "ROLE lose": the batch that holds it gets lost, whenever it comes
// and every record takes LEAT_TEST_FILTER_US or LEAT_TEST_PROCESSOR_US microseconds longer. LEAT_TEST_FILTER_LOSES=N or
// LEAT_TEST_PROCESSOR_LOSES=N: the N-th batch of each such worker gets lost. LEAT_TEST_PROCESSOR_OWES=1: it returns no
// credits. LEAT_TEST_DAY_MS: how long a day is. LEAT_TEST_NO_PROGRESS_MS: how long nothing may move.
#include "workers/stage/test_hook.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>

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

int open_and_close(const std::string& path, int flags) {
  int fd = ::open(path.c_str(), flags | O_CLOEXEC, 0600);
  if (fd >= 0) ::close(fd);
  return fd;
}

// To "127.0.0.1:80", as anything that wants out would.
int connect_and_close(const std::string& address) {
  sockaddr_in to{};
  to.sin_family = AF_INET;
  std::size_t colon = std::min(address.find(':'), address.size() - 1);
  to.sin_port = htons(static_cast<std::uint16_t>(std::strtoul(address.c_str() + colon + 1, nullptr, 10)));
  if (::inet_pton(AF_INET, address.substr(0, colon).c_str(), &to.sin_addr) != 1) return -1;
  int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return -1;
  int result = ::connect(fd, reinterpret_cast<const sockaddr*>(&to), sizeof to);
  int error = errno;
  ::close(fd);
  errno = error;
  return result;
}

int run(const std::string& path) {
  char* const arguments[] = {const_cast<char*>(path.c_str()), nullptr};
  return ::execve(path.c_str(), arguments, environ);
}

int trace_parent() {
  const long result = ::ptrace(PTRACE_SEIZE, ::getppid(), nullptr, nullptr);
  return static_cast<int>(result);
}

std::string with_parent(std::string path) {
  constexpr std::string_view kParent = "/parent/";
  const std::size_t at = path.find(kParent);
  if (at != std::string::npos) path.replace(at + 1, kParent.size() - 2, std::to_string(::getppid()));
  return path;
}

// What a sandbox is to prevent. Says on stderr what came of it: "test-hook open=/etc/shadow result=Permission denied".
bool tries(std::string_view what) {
  std::size_t space = what.find(' ');
  if (space == std::string_view::npos) return false;
  std::string_view verb = what.substr(0, space);
  std::string object(what.substr(space + 1, what.find('"') - space - 1));
  struct stat found {};
  int result = 0;
  if (verb == "open") {
    result = open_and_close(with_parent(object), O_RDONLY);
  } else if (verb == "write") {
    result = open_and_close(object, O_WRONLY);
  } else if (verb == "make") {
    result = open_and_close(object, O_WRONLY | O_CREAT | O_EXCL);
  } else if (verb == "remove") {
    result = ::unlink(object.c_str());
  } else if (verb == "run") {
    result = run(object);
  } else if (verb == "trace") {
    result = trace_parent();
  } else if (verb == "see") {
    result = ::stat(object.c_str(), &found);
  } else if (verb == "connect") {
    result = connect_and_close(object);
  } else {
    return false;
  }
  std::fprintf(stderr, "<5>test-hook %s=%s result=%s\n", std::string(verb).c_str(), object.c_str(),
               result < 0 ? std::strerror(errno) : "done");
  return true;
}

struct Armed : TestHook::Acts {
  explicit Armed(const std::string& of)
      : role(of),
        sleep_us(number(role, "US")),
        loses(number(role, "LOSES")),
        owes(number(role, "OWES") > 0) {}

  void on_record(std::string_view record) override {
    if (sleep_us > 0) ::usleep(static_cast<useconds_t>(sleep_us));
    constexpr std::string_view kKey = "\"leat_test\":\"";
    std::size_t at = record.find(kKey);
    if (at == std::string_view::npos) return;
    std::string_view what = record.substr(at + kKey.size());
    if (!what.starts_with(role + " ")) return;
    what.remove_prefix(role.size() + 1);
    if (tries(what)) return;
    if (what.starts_with("segfault")) ::raise(SIGSEGV);
    if (what.starts_with("abort")) ::abort();
    if (what.starts_with("loop")) {
      for (;;) asm volatile("");
    }
  }

  bool loses_batch(std::string_view records) override {
    if (records.find("\"leat_test\":\"" + role + " lose\"") != std::string_view::npos) return true;
    return loses > 0 && --loses == 0;
  }

  bool withholds_credits() const override { return owes; }

  std::string role;
  std::uint64_t sleep_us;
  std::uint64_t loses;
  bool owes;
};

}  // namespace

TestHook::TestHook(proto::Stage role) {
  if (hooks()) acts_ = std::make_unique<Armed>(std::string(proto::to_string(role)));
}

std::chrono::milliseconds day() {
  const std::uint64_t ms = hooks() ? number("DAY", "MS") : 0;
  return ms > 0 ? std::chrono::milliseconds(ms) : std::chrono::hours(24);
}

std::chrono::milliseconds no_progress() {
  const std::uint64_t ms = hooks() ? number("NO", "PROGRESS_MS") : 0;
  return ms > 0 ? std::chrono::milliseconds(ms) : std::chrono::minutes(1);
}

}  // namespace leat::stage
