// The processors of a run: how many of its own there are to be, who may join, what the window is for so many, and when one that
// is draining may leave. It sees numbers and gives decisions; members.cc carries them out.
#pragma once

#include <sys/types.h>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "config/budget.h"
#include "daemon/supervisor/controller.h"
#include "daemon/supervisor/job.h"
#include "proto/control.h"

namespace leat::supervisor {

using Clock = std::chrono::steady_clock;

// A processor that is dealt nothing more.
class Draining {
 public:
  // A credit that was lost on its way never comes: one that has been idle for so long has nothing.
  static constexpr std::chrono::milliseconds kIdle{5'000};
  enum class Next : std::uint8_t { kWait, kLeave, kKill };

  // dealers: instances of those that have yet to say MemberDrained.
  Draining(Clock::time_point since, std::vector<std::uint32_t> dealers)
      : since_(since), undrained_(std::move(dealers)) {}
  // That dealer has said so, or has gone: what it had dealt is sent again.
  void drained(std::uint32_t dealer) { std::erase(undrained_, dealer); }
  // idle: for kIdle.
  Next next(Clock::time_point now, bool idle, std::chrono::milliseconds patience) const {
    if (undrained_.empty() || (idle && now - since_ >= kIdle)) return Next::kLeave;
    return now - since_ >= patience ? Next::kKill : Next::kWait;
  }

 private:
  Clock::time_point since_;
  std::vector<std::uint32_t> undrained_;
};

class Pool {
 public:
  struct Change {
    int from = 0;
    int to = 0;
    std::string reason;
  };
  // Those that are there and not draining; workers: of all stages.
  struct Members {
    int own = 0;
    int joined = 0;
    std::size_t workers = 0;
    int all() const { return own + joined; }
  };
  struct Applicant {
    uid_t uid = 0;
    proto::Stage stage = proto::Stage::kProcessor;
    std::string version;
  };

  // A run that ends has no time to grow, and begins with the most. The job must outlive this.
  explicit Pool(const Job& job);

  int wanted() const { return wanted_; }
  bool automatic() const { return automatic_; }
  // Fails (kReject, 78) when limits.memory has no room for so many.
  [[nodiscard]] Result<config::Budget> budget(int processors) const;

  // So many of our own, and the controller decides no more. nullopt: that is no change. Fails as budget(), and without steps.
  [[nodiscard]] Result<std::optional<Change>> ask(int own, int joined);
  // The controller decides, and begins with no memory. Fails where it has nothing to decide.
  [[nodiscard]] Result<void> automate();
  // Asks the controller, with what was seen in the last Controller::kInterval; view.own is filled in here.
  std::optional<Change> sample(Controller::View view, int joined);

  // So many are to be started now.
  int to_start(const Members& members, Clock::time_point now) const;
  // One could not be: it is tried again, and the others do without.
  void not_started(Clock::time_point now);
  // So many of our own are to drain.
  int to_drain(const Members& members) const { return std::max(members.own - wanted_, 0); }

  // Why it may not join; empty: it may.
  std::string refusal(const Applicant& applicant, const Members& members) const;

  // The window is what limits.memory leaves: it shrinks before a processor comes and grows when one has gone. nullopt: the
  // reader has been told.
  std::optional<proto::WindowSize> window(int processors) const;
  void window_is_for(int processors) { window_for_ = processors; }  // 0: there is a new reader

 private:
  Change change(int own, std::string reason) { return {std::exchange(wanted_, own), own, std::move(reason)}; }

  const Job& job_;
  const config::Workers& workers_;
  int wanted_;
  bool automatic_;
  Controller controller_;
  Clock::time_point start_at_{};  // not before
  int window_for_ = 0;            // processors
};

}  // namespace leat::supervisor
