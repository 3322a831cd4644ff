// The workers of a run as processes: starting them, again if need be, reading their pages, telling them things, ending
// them.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include "daemon/supervisor/layout.h"
#include "daemon/supervisor/process.h"
#include "daemon/supervisor/snapshot.h"
#include "proto/channel.h"
#include "proto/control.h"

namespace leat::supervisor {

using Clock = std::chrono::steady_clock;

// A seat and who has it.
struct Worker {
  Seat seat;
  std::uint32_t instance = 0;             // of this run, from 1
  std::optional<Child> child;             // none only before the first start
  std::optional<stage::MappedPage> page;  // from its hello on
  Clock::time_point started{};
  bool ready = false;
  bool welcomed = false;
  bool told_to_leave = false;
  std::optional<Clock::time_point> ended;     // it has died
  bool judged = false;                        // and that was seen to
  std::optional<Clock::time_point> start_at;  // when another one will be started
  std::string retry;                          // why it left, if another try may have more luck
  std::string killed_for;                     // why we killed it

  bool running() const { return child && child->running(); }
  std::string title() const;  // "leat-filter 0 (pid 123)"
  std::string at() const;     // what its page says it is at; may be empty
};

class Team {
 public:
  // Starts everyone. Throws std::system_error; those already started are ended then.
  Team(const config::Pipeline& pipeline, std::string runtime, std::string program_folder);
  ~Team();
  Team(const Team&) = delete;
  Team& operator=(const Team&) = delete;

  const Layout& layout() const { return layout_; }
  std::vector<Worker>& workers() { return workers_; }
  Worker* find(const Seat& seat);
  Worker* find(const Name& name);  // nullptr: also when another has that seat now
  Worker& reader() { return workers_.front(); }
  Worker& writer() { return workers_.back(); }
  bool all_but_reader_ready() const;
  bool anyone_left() const;

  // Another worker at the seat of one that has ended. Throws std::system_error.
  void start_again(Worker& worker);
  // Ends everyone at once and starts everyone anew, with other endpoints. Who hangs in a system call is left to end by
  // itself.
  void start_all_again();

  void watch(proto::Poller& poller);  // the pidfds of those that run
  void reap();                        // notes who has ended, and when
  // False: it cannot be told (not there, or its queue is full).
  bool tell(const Worker& worker, const proto::Control& message, proto::Socket& control) const;
  // Tells everyone who has come forward to leave now, as far as it can be sent without waiting; ends those
  // who have not.
  void dismiss(proto::Socket& control);
  void kill();

  // Totals and shares; leaves the times and the memory alone.
  void count(Snapshot& snapshot) const;
  std::uint64_t memory_bytes() const;  // PSS, ours included
  void welcome_endpoints(proto::Welcome& welcome, const Worker& worker) const;

 private:
  void start(Worker& worker);
  void remove_page(const Worker& worker) const;

  const config::Pipeline& pipeline_;
  std::string runtime_;
  std::string program_folder_;
  std::uint32_t generation_ = 1;
  std::uint32_t last_instance_ = 0;
  Layout layout_;
  std::vector<Worker> workers_;
  std::vector<Child> leaving_;      // killed, and not gone yet
  std::uint64_t bytes_before_ = 0;  // taken in by filters that have gone
};

}  // namespace leat::supervisor
