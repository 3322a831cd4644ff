// Runs one pipeline: starts the workers, tells them their endpoints, watches them, changes the size of the pool while it
// runs, stops them.
//
// It holds no data socket and never waits: one loop over the control socket, the workers' pidfds and a clock, in
// steps, so that one process may run many. Every send is a try; what a worker is at is read from its page, not asked for.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "config/pipeline.h"
#include "daemon/supervisor/process.h"
#include "daemon/supervisor/snapshot.h"
#include "daemon/supervisor/status.h"
#include "proto/base/result.h"
#include "proto/channel.h"
#include "workers/stage/test_hook.h"

namespace leat::supervisor {

struct Job {
  config::Pipeline pipeline;        // valid
  std::string pipeline_text;        // the YAML it was parsed from
  std::uint64_t in_file_bytes = 0;  // as plan_budget() wants it
  bool force = false;
  bool follow = false;
  bool daemon = false;  // it is leatd's
  std::string run;      // names this run in the ledger
  std::string state;    // folder of the ledger; prepared, and locked for the life of the run
  // the sink is a pipe or a device: nothing to continue with later, `state` is not used
  bool volatile_state = false;
  bool fresh = false;               // forget all sources and outputs
  bool accept_changes = false;      // continue although filter, steps or sink are not what they were
  std::uint64_t fingerprint = 0;    // of filter, steps and sink
  std::vector<std::string> reread;  // sources to start over, absolute
  std::string program_folder;       // where leat-reader and the others are
  std::string runtime_root;         // empty: default_runtime_root()
  bool fixed_folder = false;  // the runtime folder is ROOT/NAME, not ROOT/NAME-PID: others find it (leatd)
  std::chrono::milliseconds start_up{
      30'000};  // for a worker to be ready, or to say on its page what it waits for
  // Nothing moves, and nothing is known that it could wait for: that ends the run (70).
  std::chrono::milliseconds no_progress = stage::no_progress();
  // A drain that takes longer becomes a stop.
  std::chrono::milliseconds drain_patience{30'000};
  // A stop waits for the records at hand for process.timeout, or for so long if that is less.
  std::chrono::milliseconds stop_patience = std::chrono::hours(24);
};

using Fields = std::vector<std::pair<std::string, std::string>>;

// What becomes known while a pipeline runs. Called in the supervisor's loop: return soon. `event` is a name for logs:
// "worker-died".
class Observer {
 public:
  virtual ~Observer() = default;
  virtual void warning(std::string_view event, std::string_view text) = 0;
  virtual void note(std::string_view event, std::string_view text) = 0;
  // The normal course of things: workers come, go and are scaled.
  virtual void happened(std::string_view /*event*/, const Fields& /*fields*/) {}
  // About every 200 ms from the moment the reader may start, and once at the end.
  virtual void tick(const Snapshot& /*snapshot*/) {}
};

struct Outcome {
  int exit_code = kExitOk;  // kExitOk also when sources failed or records are dead: that is in the details
  std::string failure;      // what ended the run before its end; empty: nothing did
  std::string details;  // the writer's account of the run: a JSON object; empty when it did not come to that
  Snapshot last;
};

class Supervisor {
 public:
  // Makes the runtime folder, binds the control socket and starts the workers. Must be called and used in the main thread
  // (the workers die with the thread that started them). job and observer must outlive this. Throws FolderError, or another
  // std::runtime_error when a program cannot be started.
  Supervisor(const Job& job, Observer& observer);
  ~Supervisor();

  // A round: wait on these for at most due(), then step().
  void add_to(proto::Poller& poller);
  std::chrono::milliseconds due() const;
  void step();

  // The input is used up, something has ended it, or it was told to; and all workers are gone, or were killed and do not go
  // as they hang in the kernel.
  bool over() const;
  // Precondition: over(). Once.
  Outcome take_outcome();
  // Precondition: over(). Those that hang in the kernel, to be reaped when they have gone; destroying them waits for a second.
  std::vector<Child> take_leftovers();

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
  class Loop;
  std::unique_ptr<Loop> loop_;
};

// For a program that does nothing else: runs it to its end. SIGINT, SIGTERM and SIGHUP stop it, the second one ends it at once
// (blocked in the calling thread meanwhile). All workers are gone when it returns. Throws as the constructor does.
Outcome run_in_foreground(const Job& job, Observer& observer);

}  // namespace leat::supervisor
