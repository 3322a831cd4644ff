#include "daemon/supervisor/controller.h"

#include <fmt/format.h>

#include <algorithm>

namespace leat::supervisor {

namespace {

constexpr double kBusy = 0.85;        // the pool has no time to spare
constexpr double kWaits = 0.08;       // the stage before it waits for room so much of its time
constexpr double kRoomy = 0.6;        // busy as the pool would be with one less
constexpr int kSamplesForMore = 3;    // 1.5 s
constexpr int kSamplesForFewer = 10;  // 5 s
constexpr std::chrono::milliseconds kStarting{1'000};  // before an added worker counts
constexpr int kTrialSamples = 4;
// What a record takes is known when every worker has finished a batch at as many samples as that; where it takes longer than
// this, it is not.
constexpr int kMostSamples = 20;   // 10 s
constexpr double kWorthIt = 0.25;  // of what one more of equals would bring
constexpr std::chrono::seconds kLongestHold{900};

}  // namespace

// Did the last one that came bring something? Only asked while the pool is still what is slow.
std::optional<Controller::Decision> Controller::judge_trial(const View& view) {
  if (view.now - trial_->since < kStarting) return std::nullopt;
  trial_->work.add(view);
  trial_->delivered += view.delivered;
  ++trial_->samples;
  bool enough = trial_->before > 0 && trial_->delivered >= kTrialSamples * view.workers;
  if (trial_->samples < (enough ? kTrialSamples : kMostSamples) && trial_->before > 0) return std::nullopt;
  Trial trial = *trial_;
  trial_.reset();
  double after = trial.work.capacity(view.workers);
  double hoped = trial.before / std::max(view.workers - 1, 1) * kWorthIt;
  bool saturated = view.busy >= kBusy && view.blocked_before >= kWaits;
  if (!enough || !saturated || view.own <= min_ || after >= trial.before + hoped) {
    if (saturated) hold_ = std::chrono::seconds(60);
    return std::nullopt;
  }
  not_before_ = view.now + hold_;
  hold_ = std::min(hold_ * 2, kLongestHold);
  return Decision{view.own - 1,
                  fmt::format("the last processor gave no speed-up: {:.0f} records/s with {}, {:.0f} with {}",
                              trial.before, view.workers - 1, after, view.workers)};
}

void Controller::refused(Clock::time_point now) {
  trial_.reset();
  not_before_ = now + hold_;
}

std::optional<Controller::Decision> Controller::update(const View& view) {
  if (view.own < min_) return Decision{min_, "process.workers.min"};
  if (view.own > max_) return Decision{max_, "process.workers.max"};
  if (trial_) return judge_trial(view);

  bool saturated = view.busy >= kBusy && view.blocked_before >= kWaits && view.writer_busy < kBusy;
  saturated_ = saturated ? saturated_ + 1 : 0;
  if (!saturated) work_ = {};
  work_.add(view);
  delivered_ = saturated ? delivered_ + view.delivered : 0;
  bool enough = delivered_ >= kSamplesForMore * view.workers;
  if (saturated_ >= (enough ? kSamplesForMore : kMostSamples)) {
    double rate = enough ? work_.capacity(view.workers) : 0;
    bool held = not_before_ && view.now < *not_before_;
    if (view.own < max_ && !held) {
      saturated_ = 0;
      work_ = {};
      delivered_ = 0;
      trial_ = Trial{view.now, rate, {}, 0, 0};
      return Decision{
          view.own + 1,
          fmt::format(
              "processors are the bottleneck: {:.0f} % busy, and the stage before waits {:.0f} % of the time",
              view.busy * 100, view.blocked_before * 100)};
    }
  }

  double with_one_less = view.workers > 1 ? view.busy * view.workers / (view.workers - 1) : 1;
  bool spare = view.own > min_ && (view.workers > 1 ? with_one_less < kRoomy : view.busy < 0.01);
  spare_ = spare ? spare_ + 1 : 0;
  if (spare_ < kSamplesForFewer) return std::nullopt;
  spare_ = 0;
  return Decision{view.own - 1, fmt::format("{} processor{} {:.0f} % busy: one fewer is enough", view.workers,
                                            view.workers == 1 ? " is" : "s are", view.busy * 100)};
}

}  // namespace leat::supervisor
