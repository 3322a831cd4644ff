// Runs one pipeline: starts the workers, tells them their endpoints, watches them, changes the size of the pool while it
// runs, stops them.
//
// It holds no data socket and never waits: one loop over the control socket, the workers' pidfds and a clock, in
// steps, so that one process may run many. Every send is a try; what a worker is at is read from its page, not asked for.
//
// supervisor.cc: the order of things; members.cc: processors that come, go and are scaled; judge.cc: what follows from a death;
// stop.cc: the ways to end it; checks.cc: what is checked by the clock; status.cc: what is said of all that.
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "config/budget.h"
#include "daemon/supervisor/descriptors.h"
#include "daemon/supervisor/job.h"
#include "daemon/supervisor/judgement.h"
#include "daemon/supervisor/liveness.h"
#include "daemon/supervisor/pool.h"
#include "daemon/supervisor/runtime_folder.h"
#include "daemon/supervisor/shutdown.h"
#include "daemon/supervisor/states.h"
#include "daemon/supervisor/status.h"
#include "daemon/supervisor/team.h"

namespace leat::supervisor {

using std::chrono::milliseconds;

class Supervisor {
 public:
  // Makes the runtime folder, binds the control socket and starts the workers. Must be called and used in the main thread
  // (the workers die with the thread that started them). job and observer must outlive this. Throws FolderError, or another
  // std::runtime_error when a program cannot be started.
  Supervisor(const Job& job, Observer& observer);
  ~Supervisor();
  Supervisor(const Supervisor&) = delete;
  Supervisor& operator=(const Supervisor&) = delete;

  // A round: wait on these for at most due(), then step().
  void add_to(proto::Poller& poller);
  milliseconds due() const;
  void step();

  // The input is used up, something has ended it, or it was told to; and all workers are gone, or were killed and do not go
  // as they hang in the kernel.
  bool over() const { return phase_ == RunPhase::kOver; }
  // Precondition: over(). Once.
  Outcome take_outcome() { return std::move(outcome_); }
  // Precondition: over(). Those that hang in the kernel, to be reaped when they have gone; destroying them waits for a second.
  std::vector<Child> take_leftovers() { return team_.take_leftovers(); }

  // Takes in nothing new, finishes what is in the window, commits and ends (75). Before anything was read: leave().
  void drain();
  // Finishes the records at hand, commits what is in order and ends (75); the rest of the window comes again.
  void stop();
  // Ends at once (75): what is not committed comes again. Waits for workers only shortly.
  void leave();
  void pause(bool on);
  // The number of processors that are started here. Fails (kReject, 78: no steps, or limits.memory has no room for them).
  [[nodiscard]] Result<void> scale(int processors);
  // The controller decides again, between process.workers.min and max. Fails where these are one number.
  [[nodiscard]] Result<void> scale_automatically();

  Status status() const;

 private:
  static constexpr milliseconds kTick{200};

  void go_on();
  void receive();
  void on_hello(Worker& worker, const proto::Hello& hello);
  void on_report(Worker& worker, const proto::Report& report);
  void welcome(Worker& worker);
  void welcome_those_due();
  void see_drain_through();
  void see_stop_through();
  bool send_finish(Worker& worker);
  void end_late(Worker& worker);
  bool is_waited_for(const Worker& worker) const;
  void end(int exit_code, std::string failure);
  void note_event(std::string_view event, const Worker& worker);
  void disband();
  void tick(bool last);

  void on_join(const std::string& identity, const proto::Hello& hello);
  void on_drained(const Worker& dealer, const proto::MemberDrained& drained);
  void start_draining(Worker& worker);
  void dismiss_drained();
  void adjust_pool();
  void control_pool();
  void note_change(const std::optional<Pool::Change>& change);
  void fit_window();

  void judge_deaths();
  void judge(Worker& worker, bool left);
  void judge_own(Worker& worker);
  void take_out(Worker& worker);
  void blame(Worker& worker);
  void replace_all(Worker& cause, milliseconds pause);
  void fill_slots();
  std::uint64_t progress();

  void check_start_up();
  void check_sink();
  void check_records();
  void check_stall();
  void check_progress();
  void give_up(std::string why);
  Liveness::View view_of_progress() const;

  std::string status_message() const;
  std::string waited_for() const;

  const Job& job_;
  Observer& observer_;
  RuntimeFolder folder_;
  proto::Context context_;
  proto::Socket control_;
  std::string runtime_;
  Descriptors descriptors_;
  Clock::time_point started_;
  Pool pool_;
  config::Budget budget_;  // for the processors of the start
  Team team_;

  std::uint64_t epoch_ = 0;  // 0: the writer has not begun it yet
  Judgement judgement_;
  Liveness liveness_;
  Shutdown shutdown_;
  std::optional<Clock::time_point> reading_since_;
  Clock::time_point next_tick_{};
  Clock::time_point next_memory_{};
  Clock::time_point sampled_{};  // at the pages, for the controller
  std::uint64_t memory_ = 0;
  std::uint64_t peak_memory_ = 0;
  Tracked<RunPhase> phase_{RunPhase::kStarting};
  bool paused_ = false;
  bool drain_sent_ = false;
  Outcome outcome_;
};

// For a program that does nothing else: runs it to its end. SIGINT, SIGTERM and SIGHUP stop it, the second one ends it at once
// (blocked in the calling thread meanwhile). All workers are gone when it returns. Throws as the constructor does.
Outcome run_in_foreground(const Job& job, Observer& observer);

}  // namespace leat::supervisor
