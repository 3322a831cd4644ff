// One pipeline of leatd: its supervisor, again and again.
//
// What ends a run ends it for a while only: an I/O error (a full disk above all) is tried again until it works, with pauses;
// a wrong configuration waits for a person. What a person wants (paused, stopped, another configuration) is carried out at a
// batch boundary: the run drains first.
#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "daemon/plan/plan.h"
#include "daemon/supervisor/rates.h"
#include "daemon/supervisor/supervisor.h"
#include "workers/ledger/state_folder.h"

namespace leat::leatd {

struct Folders {
  std::string config;   // with pipelines.d in it
  std::string state;    // of ledgers: STATE/NAME
  std::string runtime;  // of sockets and pages: RUNTIME/NAME
};

struct Happening {
  std::int64_t unix_s = 0;
  std::string_view level;  // info, warning, error
  std::string event;
  std::string text;
};

class Runner : public supervisor::Observer {
 public:
  using Clock = std::chrono::steady_clock;

  Runner(plan::Plan plan, const Folders& folders, std::string program_folder);
  Runner(const Runner&) = delete;
  Runner& operator=(const Runner&) = delete;

  void add_to(proto::Poller& poller);
  std::chrono::milliseconds due() const;
  void step();

  const std::string& name() const { return plan_.pipeline.name; }
  const plan::Plan& plan() const { return plan_; }
  const plan::Plan& newest_plan() const { return next_ ? *next_ : plan_; }
  std::string state_folder() const;
  bool is_to_stop() const { return wish_ == Wish::kStopped; }
  bool stopped() const { return !supervisor_ && wish_ == Wish::kStopped; }
  bool settled()
      const;  // has come as far as it will come by itself: runs, waits for something outside, failed

  // What a person wants. Each may be asked for at any time, the last one counts.
  void pause();
  void drain();
  void stop();   // finishes the records at hand
  void leave();  // at once
  bool stopping() const;
  void resume();
  void try_again();                                             // what waited for a person
  void swap(plan::Plan plan);                                   // at the position that is committed
  Result<void> scale(std::optional<std::uint32_t> processors);  // nullopt: automatically

  // The phase as status names it, and what is to be said of it.
  struct State {
    std::string_view name;
    std::string message;
    double state_seconds = 0;
  };
  State state() const;
  std::optional<supervisor::Status> status() const;
  const supervisor::Rates& rates() const { return rates_; }
  // Since leatd began, whatever was swapped or started again meanwhile.
  supervisor::Snapshot totals() const;
  const std::deque<Happening>& happenings() const { return happenings_; }

  void warning(std::string_view event, std::string_view text) override;
  void note(std::string_view event, std::string_view text) override;
  void happened(std::string_view event, const supervisor::Fields& fields) override;
  void tick(const supervisor::Snapshot& snapshot) override;

 private:
  enum class Wish : std::uint8_t { kRun, kPaused, kStopped };

  void start();
  Result<void> try_start();
  void on_over(const supervisor::Outcome& outcome);
  void fail_for_now(int exit_code, const std::string& text);
  void remember(std::string_view level, std::string_view event, std::string text);
  bool moves_again() const;
  State state_now() const;  // without how long
  void note_state();

  plan::Plan plan_;
  const Folders& folders_;
  std::string program_folder_;
  std::string run_;  // names all runs of this leatd in the ledger
  Wish wish_ = Wish::kRun;
  std::optional<plan::Plan> next_;
  std::optional<std::uint32_t> processors_;  // asked for by a person; kept when it is started again

  std::unique_ptr<supervisor::Job> job_;
  std::optional<ledger::RunLock> lock_;
  std::unique_ptr<supervisor::Supervisor> supervisor_;
  std::vector<supervisor::Child> leftovers_;  // of runs that are over
  Clock::time_point started_{};
  std::optional<Clock::time_point> retry_at_;
  std::chrono::milliseconds pause_{0};
  std::string failure_;  // of the last run; empty: none, or it works again
  std::optional<Clock::time_point> failing_since_;
  std::uint64_t records_at_failure_ = 0;  // that this leatd had written
  bool for_good_ = false;                 // nothing but a person can help

  supervisor::RateMeter meter_;
  supervisor::Rates rates_;
  supervisor::Snapshot last_;
  // Of the supervisors before, what the next one counts from nothing. Records are counted in the ledger, by run.
  struct {
    std::uint64_t bytes_in = 0;
    std::uint64_t sources_done = 0;
  } before_;
  Clock::time_point next_tally_{};
  std::uint64_t tallied_ = 0;
  std::string_view state_name_;
  Clock::time_point state_since_ = Clock::now();
  Clock::time_point state_polled_{};
  std::deque<Happening> happenings_;
};

}  // namespace leat::leatd
