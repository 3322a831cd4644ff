// The clock of the ways to end a run, from the patient to the hasty one: each has a time after which the next one follows.
//
// drain: the reader takes in nothing new, and what is in the window is finished. stop: what is not committed is read again
// anyway, so only the records at hand are finished, and the writer commits what it has in order. Then every worker is asked to
// leave, gets a moment, and is killed; what hangs in the kernel even so is left to end by itself. It sees the time and gives
// decisions; stop.cc carries them out.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <optional>

#include "daemon/supervisor/job.h"

namespace leat::supervisor {

class Shutdown {
 public:
  using Clock = std::chrono::steady_clock;
  using milliseconds = std::chrono::milliseconds;
  static constexpr milliseconds kAnswer{2'000};  // on top of what a record may take, to say that it is done
  static constexpr milliseconds kCommit{10'000};
  static constexpr milliseconds kLeave{2'000};         // to leave when told so
  static constexpr milliseconds kLeaveHurried{1'000};  // after a second signal
  static constexpr milliseconds kBury{1'000};          // for those that were killed to be gone
  enum class Next : std::uint8_t { kWait, kKill, kOver };

  // The job must outlive this.
  explicit Shutdown(const Job& job) : job_(job) {}

  void drain(Clock::time_point now) { drain_since_ = drain_since_.value_or(now); }
  bool drains() const { return drain_since_.has_value(); }
  // Precondition: drains().
  bool drain_is_late(Clock::time_point now) const { return now - *drain_since_ >= job_.drain_patience; }

  void stop(Clock::time_point now) { stop_since_ = now; }
  const std::optional<Clock::time_point>& stop_since() const { return stop_since_; }
  // For the records at hand.
  milliseconds record_patience() const {
    return std::min(job_.pipeline.process.timeout, job_.stop_patience) + kAnswer;
  }
  // Precondition: it stops.
  bool records_are_late(Clock::time_point now) const { return now - *stop_since_ >= record_patience(); }
  // The writer has been told to commit; from then on no other worker is waited for.
  void writer_finishes(Clock::time_point now) { writer_finishes_since_ = now; }
  bool waits_for_writer() const { return writer_finishes_since_.has_value(); }
  bool commit_is_late(Clock::time_point now) const {
    return writer_finishes_since_ && now - *writer_finishes_since_ >= kCommit;
  }

  // There is nothing to wait for, or nobody who would.
  void hurry(Clock::time_point now) {
    hurry_ = true;
    if (leave_until_) leave_until_ = std::min(*leave_until_, now + kLeaveHurried);
  }
  // All are asked to leave; true: from now on.
  bool leave(Clock::time_point now) {
    if (leave_until_) return false;
    leave_until_ = now + (hurry_ ? kLeaveHurried : kLeave);
    return true;
  }
  // Precondition: leave(). kKill is said once.
  Next next(Clock::time_point now, bool all_gone) {
    const bool late = now >= *leave_until_;
    if (all_gone || (late && killed_)) return Next::kOver;
    if (!late) return Next::kWait;
    killed_ = true;
    leave_until_ = now + kBury;
    return Next::kKill;
  }

 private:
  const Job& job_;
  std::optional<Clock::time_point> drain_since_;
  std::optional<Clock::time_point> stop_since_;
  std::optional<Clock::time_point> writer_finishes_since_;
  bool hurry_ = false;
  std::optional<Clock::time_point> leave_until_;
  bool killed_ = false;
};

}  // namespace leat::supervisor
