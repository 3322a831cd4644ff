#include "daemon/log/notify.h"

#include <doctest/doctest.h>
#include <fmt/format.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <vector>

using namespace leat::log;
using namespace std::chrono_literals;

namespace {

// The service manager's end: an abstract datagram socket, and the environment that a service gets.
class Manager {
 public:
  explicit Manager(const char* watchdog_us = nullptr)
      : fd_(::socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0)) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    const std::string name = fmt::format("leat-notify-test-{}", ::getpid());
    std::memcpy(address.sun_path + 1, name.data(), name.size());
    const auto length = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + 1 + name.size());
    REQUIRE(::bind(fd_, reinterpret_cast<const sockaddr*>(&address), length) == 0);
    ::setenv("NOTIFY_SOCKET", ("@" + name).c_str(), 1);
    if (watchdog_us != nullptr) ::setenv("WATCHDOG_USEC", watchdog_us, 1);
  }
  ~Manager() {
    ::close(fd_);
    for (const char* name : {"NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"}) ::unsetenv(name);
  }
  Manager(const Manager&) = delete;

  // A datagram each.
  std::vector<std::string> heard() {
    std::vector<std::string> all;
    std::array<char, 8192> text{};
    for (ssize_t count = 0; (count = ::recv(fd_, text.data(), text.size(), 0)) >= 0;) {
      all.emplace_back(text.data(), static_cast<std::size_t>(count));
    }
    return all;
  }

 private:
  int fd_;
};

using Texts = std::vector<std::string>;

}  // namespace

TEST_CASE("the manager hears that it is ready, reloads, is ready again, and stops") {
  Manager manager;
  Notify notify;
  notify.ready();
  CHECK(manager.heard() == Texts{"READY=1"});
  notify.reloading();
  const Texts reloading = manager.heard();
  REQUIRE(reloading.size() == 1);
  REQUIRE(reloading[0].starts_with("RELOADING=1\nMONOTONIC_USEC="));
  timespec now{};
  ::clock_gettime(CLOCK_MONOTONIC, &now);
  const std::uint64_t stamp = std::stoull(reloading[0].substr(reloading[0].rfind('=') + 1));
  CHECK(stamp / 1'000'000 <= static_cast<std::uint64_t>(now.tv_sec));
  CHECK(stamp / 1'000'000 + 60 >= static_cast<std::uint64_t>(now.tv_sec));
  notify.ready();
  notify.stopping();
  CHECK(manager.heard() == Texts{"READY=1", "STOPPING=1"});
}

TEST_CASE("a status is sent when it is another one, once a second, and the last one always gets there") {
  Manager manager;
  std::chrono::steady_clock::time_point now{1h};
  Notify notify([&] { return now; });
  notify.status("2 pipelines run");
  notify.status("2 pipelines run");
  CHECK(manager.heard() == Texts{"STATUS=2 pipelines run"});
  now += 999ms;
  notify.status("1 pipeline runs");
  notify.status("reviews: 42 s in read() of /mnt/nas/in/ä.jsonl");
  notify.watchdog();
  CHECK(manager.heard().empty());
  now += 1ms;
  notify.watchdog();
  CHECK(manager.heard() == Texts{"STATUS=reviews: 42 s in read() of /mnt/nas/in/ä.jsonl"});
  now += 1h;
  notify.watchdog();
  CHECK(manager.heard().empty());
}

TEST_CASE("a status cannot say anything but a status") {
  Manager manager;
  Notify notify;
  notify.status("/in/a\nMAINPID=1\nb\xff");
  CHECK(manager.heard() == Texts{"STATUS=/in/a\\nMAINPID=1\\nb\\xff"});
}

TEST_CASE("the watchdog hears of it at a third of its time, however fast the loop turns") {
  Manager manager("30000000");
  std::chrono::steady_clock::time_point now{1h};
  Notify notify([&] { return now; });
  CHECK(notify.watchdog_interval() == 10s);
  int heard = 0;
  for (int i = 0; i < 1000; ++i, now += 100ms) {
    notify.watchdog();
    const Texts texts = manager.heard();
    CHECK(std::ranges::all_of(texts, [](const std::string& text) { return text == "WATCHDOG=1"; }));
    heard += static_cast<int>(texts.size());
  }
  CHECK(heard == 10);
}

TEST_CASE("a watchdog that is meant for another process is none") {
  Manager manager("30000000");
  ::setenv("WATCHDOG_PID", "1", 1);
  Notify notify;
  CHECK_FALSE(notify.watchdog_interval());
  notify.watchdog();
  CHECK(manager.heard().empty());
}

TEST_CASE("without a manager nothing happens") {
  Notify notify;
  notify.ready();
  notify.status("x");
  notify.watchdog();
  notify.reloading();
  notify.stopping();
  CHECK_FALSE(notify.watchdog_interval());
}

TEST_CASE("a manager that has gone is no fault") {
  ::setenv("NOTIFY_SOCKET", "@leat-notify-test-nobody", 1);
  Notify notify;
  notify.ready();
  ::unsetenv("NOTIFY_SOCKET");
}
