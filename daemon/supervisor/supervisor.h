// Runs one pipeline to its end: starts the workers, tells them their endpoints, watches them, stops them.
//
// It holds no data socket and waits for nobody: one loop over the control socket, the workers' pidfds,
// signals and a clock. Every send is a try; what a worker is at is read from its page, not asked for.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "config/pipeline.h"
#include "daemon/supervisor/snapshot.h"
#include "proto/result.h"

namespace leat::supervisor {

struct Job {
  config::Pipeline pipeline;  // valid
  std::string pipeline_text;  // the YAML it was parsed from
  std::uint64_t window_bytes = 0;
  std::uint32_t window_batches = 0;
  bool force = false;
  bool follow = false;
  std::string run;    // names this run in the ledger
  std::string state;  // folder of the ledger; prepared, and locked for the life of the run
  bool volatile_state =
      false;           // the sink is a pipe or a device: nothing to go on with later, `state` is not used
  bool fresh = false;  // forget all sources and outputs
  bool accept_changes = false;      // go on although filter, steps or sink are not what they were
  std::uint64_t fingerprint = 0;    // of filter, steps and sink
  std::vector<std::string> reread;  // sources to start over, absolute
  std::string program_folder;       // where leat-reader and the others are
  std::string runtime_root;         // empty: default_runtime_root()
  std::chrono::milliseconds start_up{
      30'000};  // for a worker to be ready, or to say on its page what it waits for
};

// What becomes known while a pipeline runs. Called in the supervisor's loop: return soon.
class Observer {
 public:
  virtual ~Observer() = default;
  virtual void warning(std::string_view text) = 0;
  virtual void note(std::string_view text) = 0;
  // About every 200 ms from the moment the reader may start, and once at the end.
  virtual void tick(const Snapshot& snapshot) = 0;
};

struct Outcome {
  int exit_code = kExitOk;  // kExitOk also when sources failed or records are dead: that is in the details
  std::string failure;      // what ended the run before its end; empty: nothing did
  std::string details;  // the writer's account of the run: a JSON object; empty when it did not come to that
  Snapshot last;
};

class Supervisor {
 public:
  // Makes the runtime folder, binds the control socket, starts the workers and takes SIGINT, SIGTERM and
  // SIGHUP over (blocked in the calling thread, which must be the main thread, for the life of this). Throws
  // FolderError, or another std::runtime_error when a program cannot be started.
  Supervisor(const Job& job, Observer& observer);
  ~Supervisor();

  // Until the input is used up, a worker fails, or a signal ends it: the first one drains the pipeline, the
  // second leaves at once. All workers are gone when it returns. Once.
  [[nodiscard]] Outcome run();

 private:
  class Loop;
  std::unique_ptr<Loop> loop_;
};

}  // namespace leat::supervisor
