// What a run is to do, what becomes known while it runs, and how it ended.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "config/pipeline.h"
#include "daemon/supervisor/snapshot.h"
#include "proto/base/result.h"
#include "workers/stage/test_hook.h"

namespace leat::supervisor {

struct Job {
  config::Pipeline pipeline;        // valid
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

}  // namespace leat::supervisor
