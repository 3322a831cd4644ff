#include "workers/reader/event_queue.h"

#include <sys/eventfd.h>

#include <cerrno>
#include <system_error>
#include <utility>

namespace leat::reader {
namespace {

std::uint64_t bytes_of(const Event& event) {
  const auto* chunk = std::get_if<SourceChunk>(&event);
  return chunk == nullptr ? 0 : chunk->chunk.payload.size();
}

}  // namespace

EventQueue::EventQueue(std::uint64_t max_bytes, std::size_t max_events)
    : max_bytes_(max_bytes), max_events_(max_events), ready_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
  if (!ready_) throw std::system_error(errno, std::generic_category(), "eventfd");
}

bool EventQueue::fits(std::uint64_t bytes) const {
  return events_.empty() || (events_.size() < max_events_ && bytes_ + bytes <= max_bytes_);
}

bool EventQueue::has_room(std::uint64_t bytes) const {
  const std::lock_guard lock(mutex_);
  return fits(bytes);
}

bool EventQueue::wait_for_room() {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [&] { return stopped_ || fits(1); });
  return !stopped_;
}

bool EventQueue::push(Event event) {
  const std::uint64_t bytes = bytes_of(event);
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [&] { return stopped_ || fits(bytes); });
  if (stopped_) return false;
  add(std::move(event));
  return true;
}

void EventQueue::push_last(Event event) {
  const std::lock_guard lock(mutex_);
  if (last_) return;
  add(std::move(event));
  last_ = true;
  changed_.notify_all();
}

void EventQueue::add(Event event) {
  bytes_ += bytes_of(event);
  events_.push_back(std::move(event));
  if (events_.size() == 1) (void)::eventfd_write(ready_.get(), 1);
}

bool EventQueue::sleep(std::chrono::milliseconds time) {
  std::unique_lock lock(mutex_);
  return changed_.wait_for(lock, time, [&] { return stopped_; });
}

bool EventQueue::sleep_until_commit(std::chrono::milliseconds time) {
  std::unique_lock lock(mutex_);
  changed_.wait_for(lock, time, [&] { return stopped_ || !committed_.empty(); });
  return stopped_;
}

std::vector<std::uint64_t> EventQueue::take_committed() {
  const std::lock_guard lock(mutex_);
  return std::exchange(committed_, {});
}

void EventQueue::committed(std::uint64_t source) {
  const std::lock_guard lock(mutex_);
  committed_.push_back(source);
  changed_.notify_all();
}

std::optional<Event> EventQueue::try_pop() {
  const std::lock_guard lock(mutex_);
  if (events_.empty()) return std::nullopt;
  Event event = std::move(events_.front());
  events_.pop_front();
  bytes_ -= bytes_of(event);
  if (events_.empty()) {
    eventfd_t count;
    (void)::eventfd_read(ready_.get(), &count);
  }
  changed_.notify_all();
  return event;
}

void EventQueue::stop() {
  const std::lock_guard lock(mutex_);
  stopped_ = true;
  changed_.notify_all();
}

bool EventQueue::stopped() const {
  const std::lock_guard lock(mutex_);
  return stopped_;
}

bool EventQueue::wait_for_last(std::chrono::milliseconds time) {
  std::unique_lock lock(mutex_);
  return changed_.wait_for(lock, time, [&] { return last_; });
}

}  // namespace leat::reader
