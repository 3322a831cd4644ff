// leat-processor: takes the records of a batch through the pipeline's steps.
//
// Reads   batches of kept records from the filters; answers of the children of exec steps
// Writes  batches of transformed records to the writer; nothing to disk
// Never   opens a source or a sink; touches bytes that no step names
// Fails   a command of an exec step cannot be run, or only ever dies: exits 78
// Gaps    what a user's own program does outside of its answers happens at least once

#include <utility>

#include "workers/processor/sandbox.h"
#include "workers/processor/stage.h"
#include "workers/stage/program.h"
#include "workers/stage/pump.h"

namespace {

using leat::stage::value_or_fatal;
using leat::stage::Worker;

void work(Worker& worker) {
  leat::processor::ProcessorStage::Callbacks callbacks;
  callbacks.on_warning = [&](const std::string& text) { worker.warn(text); };
  callbacks.should_stop = [&](bool at_hand) {
    worker.poll_control();
    return worker.leaving() || (worker.finishing_is_late() && !at_hand);
  };
  auto stage = value_or_fatal(
      leat::processor::ProcessorStage::make(worker.pipeline(), *worker.payloads(), std::move(callbacks)));
  stage.note_records(leat::stage::RecordMark(*worker.page()));
  leat::stage::pump(worker, [&](leat::proto::Batch batch) { return stage.transform(std::move(batch)); });
}

}  // namespace

int main(int argc, char** argv) {
  return leat::stage::run_worker({leat::proto::Stage::kProcessor, {}, leat::processor::sandbox, work}, argc,
                                 argv);
}
