// Decides how many processors a pool should have, from what its workers and those before and after it have been at.
//
// More while the pool is what holds the pipeline back: it is busy all the time, the stage before it waits for room, and the
// writer is not the bottleneck. A worker that was added must have given a speed-up, or it is removed again and that is not
// tried soon (more processes than cores, a child that all wait for); where records take seconds each it cannot be known, and
// it stays. Fewer when one less would still be idle for a good part. The two conditions are far apart and each must hold
// for a while, so the number does not swing.
#pragma once

#include <chrono>
#include <optional>
#include <string>

namespace leat::supervisor {

class Controller {
 public:
  using Clock = std::chrono::steady_clock;

  // What was seen since the last sample, about a second ago or less. Shares from 0 to 1.
  struct View {
    Clock::time_point now{};
    int workers = 0;  // in the pool, whoever started them
    int own = 0;      // of these, those that may be ended
    double busy = 0;  // mean of the pool
    // mean of the stage that deals to it: had something and no worker to give it to
    double blocked_before = 0;
    double writer_busy = 0;
    double records = 0;    // of the batches that the pool has finished
    double service_s = 0;  // what these took, all workers together
    int delivered = 0;     // of the workers: that have finished a batch since the last sample
  };
  struct Decision {
    int own = 0;  // so many there should be
    std::string reason;
  };

  static constexpr std::chrono::milliseconds kInterval{500};

  // 0 <= min <= max, of own workers.
  Controller(int min, int max) : min_(min), max_(max) {}

  std::optional<Decision> update(const View& view);
  // The last decision could not be carried out: there is no room for another one.
  void refused(Clock::time_point now);

 private:
  // Records count when their batch is done, so how many were done in a time tells little; what they took tells all.
  struct Work {
    double records = 0;
    double service_s = 0;
    void add(const View& view) {
      records += view.records;
      service_s += view.service_s;
    }
    // Records a second of so many workers that do nothing else.
    double capacity(int workers) const { return service_s > 0 ? workers * records / service_s : 0; }
  };
  struct Trial {  // a worker that was added
    Clock::time_point since{};
    double before = 0;  // records a second that the pool could do; 0: too few batches to tell
    Work work;          // done with it
    int delivered = 0;
    int samples = 0;
  };
  std::optional<Decision> judge_trial(const View& view);

  int min_;
  int max_;
  int saturated_ = 0;  // samples in a row
  Work work_;
  int delivered_ = 0;
  int spare_ = 0;
  std::optional<Trial> trial_;
  std::optional<Clock::time_point> not_before_;  // another worker is not tried
  std::chrono::seconds hold_{60};
};

}  // namespace leat::supervisor
