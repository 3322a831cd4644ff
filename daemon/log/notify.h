// What the service manager is told (sd_notify(3)): ready, how things stand, still alive. Without NOTIFY_SOCKET it does nothing.
//
// A service manager that does not take it is no fault of ours, so nothing here fails. For one thread.
#pragma once

#include <chrono>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

namespace leat::log {

class Notify {
 public:
  using Clock = std::function<std::chrono::steady_clock::time_point()>;

  // Reads WATCHDOG_USEC and WATCHDOG_PID.
  explicit Notify(Clock clock = std::chrono::steady_clock::now);

  // Also when a reload is over.
  void ready();
  // In words, one line; UTF-8 or escaped to it. Sent when it is another one, and at most once a second: a later call of this
  // or of watchdog() sends what had to wait.
  void status(std::string_view text);
  // At every turn of the loop: says that it turns, at a third of the time after which it would be killed.
  void watchdog();
  void reloading();
  void stopping();

  // The longest that the loop may sleep between two calls of watchdog(); nullopt: nobody watches.
  std::optional<std::chrono::microseconds> watchdog_interval() const { return interval_; }

 private:
  void send_status();

  Clock clock_;
  std::optional<std::chrono::microseconds> interval_;  // a third of the manager's
  std::optional<std::chrono::steady_clock::time_point> kicked_;
  std::optional<std::chrono::steady_clock::time_point> status_at_;
  std::string wanted_;  // status
  std::string sent_;
};

}  // namespace leat::log
