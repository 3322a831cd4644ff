// The workers of a run as processes: starting them, again if need be, taking in those that others have started, reading
// their pages, telling them things, ending them.
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <list>
#include <optional>
#include <string>
#include <vector>

#include "daemon/supervisor/layout.h"
#include "daemon/supervisor/liveness.h"
#include "daemon/supervisor/pool.h"
#include "daemon/supervisor/process.h"
#include "daemon/supervisor/snapshot.h"
#include "daemon/supervisor/states.h"
#include "proto/base/fd.h"
#include "proto/channel.h"
#include "proto/control.h"

namespace leat::supervisor {

// How a worker has spent its time between the last two readings of its page; shares from 0 to 1.
struct Recent {
  std::array<std::uint64_t, 4> activity_ns{};  // of the last sample
  std::uint64_t records = 0;
  std::uint64_t new_records = 0;  // between the two
  std::uint64_t service_ns = 0;
  std::uint64_t new_service_ns = 0;  // what the new records took
  StageShares shares;
};

// A slot and the worker in it.
struct Worker {
  Slot slot;
  std::uint32_t instance = 0;             // of this run, from 1
  bool joined = false;                    // started from outside: its slot goes with it
  std::string identity;                   // on the control socket
  std::optional<Child> child;             // none only before the first start
  std::optional<stage::MappedPage> page;  // from its hello on; of one that joined: from when it is ready
  Clock::time_point started{};
  Tracked<WorkerState> state{WorkerState::kStarting};
  std::optional<Draining> draining;           // nothing is dealt to it any more
  Clock::time_point ended{};                  // kLeft, kDied: since when
  std::optional<Clock::time_point> start_at;  // when another one will be started
  std::string retry;                          // why it left, if another try may have more luck
  std::string killed_for;                     // why we killed it
  RecordWatch record;
  Recent recent;
  Fd memory;                       // of one that joined: its smaps_rollup, which it has opened for us
  std::uint64_t memory_bytes = 0;  // PSS, when it was last checked

  bool running() const { return child && child->running(); }
  // It can be told things; it was told to work, and is able to; it is waited for in a stop.
  bool is_welcomed() const { return state >= WorkerState::kWelcomed && state <= WorkerState::kDismissed; }
  bool is_ready() const { return state >= WorkerState::kReady && state <= WorkerState::kLeaving; }
  bool may_be_at_work() const { return state >= WorkerState::kWelcomed && state <= WorkerState::kFinishing; }
  std::string title() const;     // "leat-filter 0 (pid 123)"
  std::string activity() const;  // of its page, in words; may be empty
  // Precondition of these: it has ended. "was killed by signal 9 (SIGKILL)", and with its name and activity, as sentences.
  std::string fate() const;
  std::string obituary() const;
  // Ready, and nothing to do for so long already.
  bool idle_for(std::chrono::milliseconds time) const;
};

class Team {
 public:
  // Starts all, with so many processors (if the pipeline has steps). Throws std::system_error; those already started
  // are ended then. control: the socket they are told things by; it must outlive this.
  Team(const config::Pipeline& pipeline, std::string runtime, std::string program_folder, int processors,
       proto::Socket& control);
  Team(const Team&) = delete;
  Team& operator=(const Team&) = delete;

  const Layout& layout() const { return layout_; }
  // in the order of the stages; a worker stays where it is in memory
  std::list<Worker>& workers() { return workers_; }
  const std::list<Worker>& workers() const { return workers_; }
  Worker* find(const std::string& identity);  // nullptr: none, or another has that slot now
  Worker* running_as(pid_t pid);              // nullptr: none
  Worker& reader() { return workers_.front(); }
  Worker& writer() { return workers_.back(); }
  const Worker& reader() const { return workers_.front(); }
  const Worker& writer() const { return workers_.back(); }
  bool all_but_reader_ready() const;  // those that were started here
  bool anyone_left() const;
  Pool::Members members() const;

  // Another processor, at the lowest slot that is free. Throws std::system_error.
  void add_processor();
  // One that was started from outside. memory: its smaps_rollup, or none.
  Worker& admit(const std::string& identity, Child child, Fd memory);
  // The slot is no more. Precondition: a processor's whose process has ended, or that was asked to leave.
  void remove(const Worker& worker);
  // Another worker at the slot of one that has ended. Throws std::system_error.
  void start_again(Worker& worker);
  // Ends all at once and restarts them, with other endpoints; those that joined get `stop` with `rejoin`. What hangs
  // in a system call is left to end by itself.
  void start_all_again();

  void watch(proto::Poller& poller);  // the pidfds of those that run
  void reap();                        // notes which have ended, and when
  // False: it cannot be told (not there, or its queue is full).
  bool send(const Worker& worker, const proto::Control& message) const;
  // To the reader, if it is there: what is lost with it is not missed by the next one.
  void send_to_reader(const proto::Control& message) const;
  std::vector<const Worker*> dealers_of(const Worker& worker) const;  // that are there
  void send_to_dealers(const Worker& worker, const proto::Control& news) const;
  // Sends `stop` with `now` to all that have said hello, as far as it can be sent without waiting; ends those
  // that have not.
  void dismiss();
  void kill();
  // Those of ours that were killed and do not go, as they hang in the kernel.
  std::vector<Child> take_leftovers();

  // Totals and shares; leaves the times and the memory alone.
  void count(Snapshot& snapshot) const;
  void read_pages();                                   // Worker::recent
  Controller::View load(Clock::time_point now) const;  // of that, for the pool's controller
  std::uint64_t measure_memory();                      // PSS of all, ours included; also Worker::memory_bytes
  void welcome_endpoints(proto::Welcome& welcome, const Worker& worker) const;

 private:
  void start(Worker& worker);
  std::list<Worker>::iterator new_slot();
  void remove_files(const Worker& worker) const;
  void remove_sockets() const;  // of this generation

  const config::Pipeline& pipeline_;
  std::string runtime_;
  std::string program_folder_;
  proto::Socket& control_;
  std::uint32_t generation_ = 1;
  std::uint32_t last_instance_ = 0;
  Layout layout_;
  std::list<Worker> workers_;
  std::vector<Child> leaving_;      // killed, and not gone yet
  std::uint64_t bytes_before_ = 0;  // taken in by filters that have gone
};

}  // namespace leat::supervisor
