#include "workers/reader/shared.h"

#include <algorithm>
#include <utility>

#include "proto/base/mounts.h"

namespace leat::reader {

using Clock = std::chrono::steady_clock;
using Doing = ReadAhead::Doing;

namespace {

ReadAhead::Options with_known(ReadAhead::Options options) {
  if (options.known == nullptr) {
    options.known = std::make_shared<Known>(Known::Options{options.source.growing, options.follow, false});
  }
  return options;
}

}  // namespace

ReadAhead::Shared::Shared(Options given)
    : options(with_known(std::move(given))),
      queue(options.queue_bytes, options.queue_events),
      target(options.target_bytes) {}

void StatusBoard::set(Doing doing, const std::string& path) {
  const std::lock_guard lock(mutex_);
  set_locked(doing, path);
}

void StatusBoard::set_locked(Doing doing, const std::string& path) {
  if (status_.doing == doing && status_.path == path && doing != Doing::kReading) return;
  status_.doing = doing;
  status_.since = Clock::now();
  if (status_.path != path) status_.path = path;
}

void StatusBoard::waiting(const std::string& path, const std::string& fault, Clock::time_point since) {
  const std::lock_guard lock(mutex_);
  status_.fault = fault;
  status_.fault_since = since;
  set_locked(Doing::kWaiting, path);
}

void StatusBoard::read_up_to(std::uint64_t consumed_bytes) {
  const std::lock_guard lock(mutex_);
  status_.consumed_bytes = consumed_bytes;
  status_.fault.clear();
}

void StatusBoard::clear_fault() {
  const std::lock_guard lock(mutex_);
  status_.fault.clear();
}

ReadAhead::Status StatusBoard::status() const {
  const std::lock_guard lock(mutex_);
  return status_;
}

bool OutagePolicy::retry(Outage& outage, const std::string& path, const std::string& fault) {
  if (!outage.running()) outage.since = Clock::now();
  outage.over = Clock::now() - outage.since >= options_.source.give_up;
  if (outage.over && !options_.follow) return true;
  outage.wait = outage.running() ? std::min(outage.wait * 2, options_.max_backoff) : options_.backoff;
  board_.waiting(path, fault, outage.since);
  return !queue_.sleep(outage.wait);
}

bool OutagePolicy::mount_is_there() const {
  return options_.source.require_mount.empty() || Mounts::now().is_mount_point(options_.source.require_mount);
}

std::string OutagePolicy::mount_fault() const {
  return options_.source.require_mount + ": nothing is mounted there";
}

}  // namespace leat::reader
