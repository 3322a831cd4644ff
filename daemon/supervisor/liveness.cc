#include "daemon/supervisor/liveness.h"

namespace leat::supervisor {

Liveness::Stall Liveness::see_stall(Clock::time_point now, bool still, std::uint64_t accepted) {
  if (still && !still_since_) {
    still_since_ = now;
    if (accepted != resent_at_) resends_ = 0;
    resent_at_ = accepted;
    return ++resends_ > kMostResends ? Stall::kGiveUp : Stall::kResend;
  }
  if (!still || now - *still_since_ > kStalled) still_since_.reset();
  return Stall::kNone;
}

bool Liveness::see_progress(const View& view) {
  if (view.movement != movement_ || !view.pending) moved_at_ = view.now;
  movement_ = view.movement;
  if (moved_at_ == view.now || view.waits) reason_at_ = view.now;
  if (view.now - reason_at_ < no_progress_) return false;
  reason_at_ = view.now;
  return true;
}

void Liveness::start_over(Clock::time_point now) {
  still_since_.reset();
  resends_ = 0;
  moved_at_ = reason_at_ = now;
}

}  // namespace leat::supervisor
