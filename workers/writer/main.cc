// leat-writer: puts batches back in order and writes them, whole files at a time, each record once.
//
// Reads   batches of records from the processors (or filters), in any order
// Writes  outputs under temporary names, then renames them; the dead-letter file; the ledger; positions to the reader
// Never   opens a source, replaces a file without --force, shows a half-written one, believes what is not
//         committed: whatever has ended the writer before it, outputs are cut back to what the ledger says
// Fails   mount unavailable, ledger or output locked: waits, and says for what. No room, no permission, the target exists, less
//         there than was committed: exits 74 or 78; what is committed stays for the next run
// Gaps    what it holds out of order is bounded by the reader's window, not by itself; a temporary whose {date} has passed
//         before its first commit stays behind when the writer is killed

#include "workers/stage/program.h"
#include "workers/writer/sandbox.h"
#include "workers/writer/session.h"

int main(int argc, char** argv) {
  return leat::stage::run_worker(
      {leat::proto::Stage::kWriter, {}, leat::writer::sandbox, leat::writer::write_all}, argc, argv);
}
