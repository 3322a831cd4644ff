// leat-filter: keeps the records that are wanted and rejects the malformed ones.
//
// Reads   batches of lines from the reader; at start the files of in_file and not_in_file
// Writes  batches of kept records to the processors, or without steps to the writer; nothing to disk
// Never   opens a source or a sink, or changes a byte of a record it keeps
// Fails   a file of in_file cannot be read: exits 78
// Gaps    the counts of surprises (missing fields, other types) end with the process

#include "workers/filter/describe.h"
#include "workers/filter/sandbox.h"
#include "workers/filter/stage.h"
#include "workers/stage/program.h"
#include "workers/stage/pump.h"

namespace {

using leat::stage::value_or_fatal;
using leat::stage::Worker;

void work(Worker& worker) {
  auto stage = value_or_fatal(leat::filter::FilterStage::make(worker.pipeline(), *worker.payloads()));
  // The files of in_file are read: this thread, which handles records, needs no more of them.
  worker.confine_further(leat::stage::worker_policy(worker.briefing().surroundings));
  stage.note_records(leat::stage::RecordMark(*worker.page()));
  leat::stage::pump(worker, [&](leat::proto::Batch batch) { return stage.transform(std::move(batch)); });
}

}  // namespace

int main(int argc, char** argv) {
  return leat::stage::run_worker(
      {leat::proto::Stage::kFilter, leat::filter::print_description, leat::filter::sandbox, work}, argc,
      argv);
}
