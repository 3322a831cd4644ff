// leat-reader: turns files on the NAS into numbered batches.
//
// Reads   files that match source.paths; the ledger, for where to continue; accepted and committed positions from the
//         writer; credits from the filters
// Writes  batches to the filters; nothing to disk, but that source.after moves or deletes what is done
// Never   writes to a source, or believes an empty mount
// Fails   no file matches: exits 66. NAS unavailable: waits, gives up after source.give_up: exits 74.
// Gaps    a file replaced between two polls by one of the same size, mtime and head is not noticed; nor is a byte that
//         was edited in what was read, but for the first 64 KiB of the file and the last 64 KiB read, of a file that
//         grew as well

#include "workers/reader/dispatcher.h"
#include "workers/reader/list.h"
#include "workers/reader/sandbox.h"
#include "workers/stage/program.h"

int main(int argc, char** argv) {
  auto work = [](leat::stage::Worker& worker) { leat::reader::Dispatcher(worker).run(); };
  return leat::stage::run_worker(
      {leat::proto::Stage::kReader, leat::reader::print_list, leat::reader::sandbox, work}, argc, argv);
}
