#include "daemon/log/notify.h"

#include <fmt/format.h>
#include <systemd/sd-daemon.h>

#include <ctime>
#include <utility>

#include "daemon/log/line.h"

namespace leat::log {

namespace {

constexpr std::chrono::seconds kStatusEvery{1};

void send(const std::string& state) {
  (void)::sd_notify(0, state.c_str());
}

// By CLOCK_MONOTONIC, which the manager compares with its own.
std::uint64_t monotonic_us() {
  timespec now{};
  ::clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<std::uint64_t>(now.tv_sec) * 1'000'000 + static_cast<std::uint64_t>(now.tv_nsec) / 1'000;
}

}  // namespace

Notify::Notify(Clock clock) : clock_(std::move(clock)) {
  std::uint64_t limit_us = 0;
  if (::sd_watchdog_enabled(0, &limit_us) > 0) interval_ = std::chrono::microseconds(limit_us / 3);
}

void Notify::ready() {
  send("READY=1");
}

void Notify::status(std::string_view text) {
  wanted_ = escaped(text);  // an end of a line in it would be an assignment of its own
  send_status();
}

void Notify::send_status() {
  if (wanted_ == sent_) return;
  const auto now = clock_();
  if (status_at_ && now - *status_at_ < kStatusEvery) return;
  send("STATUS=" + wanted_);
  sent_ = wanted_;
  status_at_ = now;
}

void Notify::watchdog() {
  send_status();
  if (!interval_) return;
  const auto now = clock_();
  if (kicked_ && now - *kicked_ < *interval_) return;
  send("WATCHDOG=1");
  kicked_ = now;
}

void Notify::reloading() {
  send(fmt::format("RELOADING=1\nMONOTONIC_USEC={}", monotonic_us()));
}

void Notify::stopping() {
  send("STOPPING=1");
}

}  // namespace leat::log
