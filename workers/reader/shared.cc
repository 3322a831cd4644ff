#include "workers/reader/shared.h"

#include <algorithm>
#include <utility>

#include "proto/base/mounts.h"

namespace leat::reader {

using Clock = std::chrono::steady_clock;

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

void ReadAhead::Shared::set(Doing doing, const std::string& path) {
  const std::lock_guard lock(mutex);
  if (status.doing == doing && status.path == path && doing != Doing::kReading) return;
  status.doing = doing;
  status.since = Clock::now();
  if (status.path != path) status.path = path;
}

bool ReadAhead::Shared::retry(Outage& outage, const std::string& path, const std::string& fault) {
  if (!outage.running()) outage.since = Clock::now();
  outage.over = Clock::now() - outage.since >= options.source.give_up;
  if (outage.over && !options.follow) return true;
  outage.wait = outage.running() ? std::min(outage.wait * 2, options.max_backoff) : options.backoff;
  {
    const std::lock_guard lock(mutex);
    status.fault = fault;
    status.fault_since = outage.since;
  }
  set(Doing::kWaiting, path);
  return !queue.sleep(outage.wait);
}

void ReadAhead::Shared::clear_fault() {
  const std::lock_guard lock(mutex);
  status.fault.clear();
}

bool ReadAhead::Shared::mount_is_there() const {
  return options.source.require_mount.empty() || Mounts::now().is_mount_point(options.source.require_mount);
}

std::string ReadAhead::Shared::mount_fault() const {
  return options.source.require_mount + ": nothing is mounted there";
}

}  // namespace leat::reader
