// The workers of a run as processes: starting them, reading their pages, telling them things, ending them.
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

struct Worker {
  Seat seat;
  Child child;
  std::optional<stage::MappedPage> page;  // from its hello on
  bool ready = false;
  bool welcomed = false;
  bool told_to_leave = false;
  std::optional<Clock::time_point> ended = std::nullopt;

  std::string title() const;  // "leat-filter 0 (pid 123)"
  std::string at() const;     // what its page says it is at; may be empty
};

class Team {
 public:
  // Starts everyone. Throws std::system_error; those already started are ended then.
  Team(const config::Pipeline& pipeline, const Layout& layout, const std::string& runtime,
       const std::string& program_folder);

  std::vector<Worker>& workers() { return workers_; }
  Worker* find(const Seat& seat);
  Worker& reader() { return workers_.front(); }
  bool all_but_reader_ready() const;
  bool anyone_left() const;

  void watch(proto::Poller& poller);  // the pidfds of those that run
  void reap();                        // notes who has ended, and when
  // Tells everyone who has come forward to leave now, as far as it can be sent without waiting; ends those
  // who have not.
  void dismiss(proto::Socket& control);
  void kill();

  // Totals and shares; leaves the times and the memory alone.
  void count(Snapshot& snapshot) const;
  std::uint64_t memory_bytes() const;  // PSS, ours included

 private:
  std::vector<Worker> workers_;
};

}  // namespace leat::supervisor
