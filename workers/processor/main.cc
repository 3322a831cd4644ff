// leat-processor: takes the records of a batch through the pipeline's steps.
//
// Reads   batches of kept records from the filters; answers of the children of exec steps
// Writes  batches of transformed records to the writer; nothing to disk
// Never   opens a source or a sink; touches bytes that no step names
// Fails   a command of an exec step cannot be run, or only ever dies: exits 78
// Gaps    what a user's own program does outside of its answers happens at least once

#include <algorithm>
#include <string>
#include <utility>

#include "workers/processor/stage.h"
#include "workers/stage/pump.h"
#include "workers/stage/sandbox.h"
#include "workers/stage/worker.h"

namespace {

using leat::stage::value_or_fatal;
using leat::stage::Worker;

// What programs of exec steps are not kept from here, once for a pool.
void tell_gaps(Worker& worker) {
  const auto& steps = worker.pipeline().process.steps;
  const auto is_exec = [](const leat::config::Step& step) {
    return step.op == leat::config::Step::Op::kExec;
  };
  if (worker.index() != 0 || std::none_of(steps.begin(), steps.end(), is_exec)) return;
  // Signals are answered for by keepers when Landlock is too old for them.
  const std::string gaps = leat::stage::sandbox_is_off()      ? "LEAT_SANDBOX=off"
                           : leat::stage::landlock_abi() == 0 ? leat::stage::sandbox_gaps()
                                                              : "";
  if (!gaps.empty()) worker.warn("programs of exec steps are not confined as they should be: " + gaps);
}

void work(Worker& worker) {
  tell_gaps(worker);
  leat::processor::ProcessorStage::Callbacks callbacks;
  callbacks.on_warning = [&](const std::string& text) { worker.warn(text); };
  callbacks.should_stop = [&](bool at_hand) {
    worker.look_for_stop();
    return worker.leaving() || (worker.finishing_is_late() && !at_hand);
  };
  auto stage = value_or_fatal(leat::processor::ProcessorStage::make(worker.pipeline(), std::move(callbacks)));
  stage.note_records(leat::stage::RecordMark(*worker.page()));
  leat::stage::pump(worker, [&](leat::proto::Batch batch) { return stage.transform(std::move(batch)); });
}

}  // namespace

int main(int argc, char** argv) {
  return leat::stage::run_worker(leat::proto::Stage::kProcessor, argc, argv, {}, work);
}
