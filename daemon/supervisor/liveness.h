// Does the run get on? Finds batches that were lost on their way, a run in which nothing moves though something could, and
// workers that do not start up. It sees numbers only: whoever asks reads them from the workers' pages.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>

#include "proto/batch.h"

namespace leat::supervisor {

// The record that a worker is at, and since when.
class RecordWatch {
 public:
  using Clock = std::chrono::steady_clock;
  struct At {
    std::uint64_t sequence = 0, source = 0, offset = 0;
    bool operator==(const At&) const = default;
  };
  // nullopt: at none.
  void see(std::optional<At> at, Clock::time_point now) {
    if (!at || at_ != at) since_ = now;
    at_ = at;
  }
  const std::optional<At>& at() const { return at_; }
  Clock::duration time(Clock::time_point now) const { return at_ ? now - since_ : Clock::duration{0}; }

 private:
  std::optional<At> at_;
  Clock::time_point since_{};
};

// A worker that is not ready.
struct StartUp {
  enum class Next : std::uint8_t { kWait, kNote, kEnd };

  proto::Stage stage = proto::Stage::kReader;
  bool said_hello = false;
  bool has_epoch = false;  // the writer is ready
  bool says_why = false;   // its page has an activity
  std::chrono::steady_clock::duration time{};

  // A reader waits for all others, and these for the writer's epoch, which is no fault of theirs.
  Next next(std::chrono::milliseconds patience) const {
    const bool waits_for_others =
        said_hello && (stage == proto::Stage::kReader || (stage != proto::Stage::kWriter && !has_epoch));
    if (time < patience || waits_for_others) return Next::kWait;
    return says_why ? Next::kNote : Next::kEnd;
  }
};

class Liveness {
 public:
  using Clock = std::chrono::steady_clock;
  static constexpr std::chrono::milliseconds kStalled{
      2'000};                             // no worker is busy, and yet something is under way
  static constexpr int kMostResends = 3;  // of everything, with nothing accepted in between
  static constexpr std::chrono::milliseconds kLastWord{
      2'000};  // of the reader, which knows at what batch it stands

  enum class Stall : std::uint8_t { kNone, kResend, kGiveUp };
  struct View {
    Clock::time_point now{};
    std::uint64_t movement = 0;  // another number whenever anything has moved
    bool pending = false;        // there is something to do
    bool waits = false;          // for something that is known to take its time
  };

  // Nothing moves for so long, and no reason for it is known: that is the end.
  explicit Liveness(std::chrono::milliseconds no_progress) : no_progress_(no_progress) {}

  // still: all have been idle for kStalled, and the writer waits for something all the same.
  // accepted: grows with what the writer takes.
  Stall see_stall(Clock::time_point now, bool still, std::uint64_t accepted);
  // True: stuck. Said once in no_progress.
  bool see_progress(const View& view);
  // All workers were restarted.
  void start_over(Clock::time_point now);

  void give_up(std::string why, Clock::time_point now) { given_up_.emplace(now, std::move(why)); }
  bool has_given_up() const { return given_up_.has_value(); }
  // Precondition: has_given_up(). Why, once the reader has had the time to say more; else nullptr.
  const std::string* last_word(Clock::time_point now) const {
    return now - given_up_->first >= kLastWord ? &given_up_->second : nullptr;
  }
  Clock::time_point moved_at() const { return moved_at_; }  // or had nothing to do

 private:
  std::chrono::milliseconds no_progress_;
  std::optional<Clock::time_point> still_since_;
  std::uint64_t resent_at_ = 0;  // what was accepted when batches were lost
  int resends_ = 0;              // since then
  std::uint64_t movement_ = 0;
  Clock::time_point moved_at_ = Clock::now();
  Clock::time_point reason_at_ = Clock::now();  // it moved, or is known to wait for something
  std::optional<std::pair<Clock::time_point, std::string>> given_up_;
};

}  // namespace leat::supervisor
