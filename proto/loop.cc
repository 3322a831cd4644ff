#include "proto/loop.h"

#include <algorithm>
#include <utility>

namespace leat::proto {

using std::chrono::milliseconds;

namespace {
constexpr zmq::pollitem_t kNothing{nullptr, -1, 0, 0};
}  // namespace

Loop::Id Loop::add(zmq::pollitem_t item, Handler handler) {
  auto unused =
      std::find_if(sources_.begin(), sources_.end(), [](const Source& source) { return !source.used; });
  auto id = static_cast<Id>(unused - sources_.begin());
  if (unused == sources_.end()) {
    sources_.emplace_back();
    items_.emplace_back();
  }
  sources_[id] = {std::move(handler), {}, milliseconds{0}, true};
  items_[id] = item;
  return id;
}

Loop::Id Loop::every(milliseconds period, Handler handler) {
  const Id id = after(period, std::move(handler));
  sources_[id].period = period;
  return id;
}

Loop::Id Loop::after(milliseconds delay, Handler handler) {
  const Id id = add(kNothing, std::move(handler));
  set(id, delay);
  return id;
}

void Loop::watch(Id id, bool on) {
  Source& source = sources_[id];
  if (items_[id].socket != nullptr || items_[id].fd >= 0) {
    items_[id].events = on ? ZMQ_POLLIN : 0;
  } else if (!on) {
    source.due.reset();
  } else if (!source.due) {
    set(id, source.period);
  }
}

void Loop::remove(Id id) {
  sources_[id].due.reset();
  sources_[id].used = false;
  items_[id] = kNothing;
}

// A signal is as if nothing had come.
bool Loop::poll(milliseconds max_wait) {
  try {
    return zmq::poll(items_, max_wait) > 0;
  } catch (const zmq::error_t& error) {
    if (error.num() != EINTR) throw;
    return false;
  }
}

bool Loop::run_once(milliseconds max_wait) {
  std::optional<Clock::time_point> next;
  for (const Source& source : sources_) {
    if (source.due && (!next || *source.due < *next)) next = source.due;
  }
  if (next) {
    const auto left = std::max(std::chrono::ceil<milliseconds>(*next - now_()), milliseconds{0});
    max_wait = max_wait < milliseconds{0} ? left : std::min(max_wait, left);
  }
  bool came = poll(max_wait);
  for (Id id = 0; came && id < items_.size(); ++id) {
    // Handlers before it may have stopped or removed it.
    if (std::exchange(items_[id].revents, short{0}) != 0 && items_[id].events != 0 && sources_[id].handler) {
      sources_[id].handler();
    }
  }
  if (!next) return came;
  const auto now = now_();
  for (Id id = 0; id < sources_.size(); ++id) {
    Source& source = sources_[id];
    if (!source.due || *source.due > now) continue;
    came = true;
    source.due = source.period > milliseconds{0} ? std::optional(now + source.period) : std::nullopt;
    source.handler();
  }
  return came;
}

void Loop::run() {
  for (left_ = false; !left_;) run_once();
}

}  // namespace leat::proto
