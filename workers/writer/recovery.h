// What an earlier writer has left half done, whatever has ended it: checked once in every epoch, before anything is
// written.
//
// For every output in the ledger that is not published:
//   complete, its temporary is there    its name is given to it again (a rename that was done is not found here)
//   complete, the temporary has gone    the target has the length: it was published, and that is what is missing
//   writing                             what is behind the committed length was never committed: cut off
//   writing, of a source that starts over, or under a sink path that is not ours any more: see Recovered
// Everything else is a fault that needs a person: kFatal, 74, naming the files.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "proto/base/result.h"
#include "workers/ledger/ledger.h"
#include "workers/writer/output.h"
#include "workers/writer/target.h"

namespace leat::writer {

struct Recovered {
  std::unique_ptr<Output> open;  // of all sources, to be continued; null: none
  // to be published: complete, or of a sink path that was given up
  std::vector<std::unique_ptr<Output>> whole;
  std::vector<ledger::Output> rows;  // the ledger is wrong about these: published already, or without content
  // rows of outputs that have nothing in them and are not wanted any more
  std::vector<std::uint64_t> forgotten;
  std::vector<std::string> notes;  // what a person should hear
};

// Outputs of one source each stay closed here (reopen_output); only that they are long enough is checked.
// kRetry: another process has one of them locked, or the file system is failing; ask again.
[[nodiscard]] Result<Recovered> recover(ledger::View& view, const Target& target,
                                        const OutputOptions& options);

// The output of a source that is still being written, as recover() left it; null: there is none.
[[nodiscard]] Result<std::unique_ptr<Output>> reopen_output(ledger::View& view, std::uint64_t source,
                                                            const OutputOptions& options);

// Published outputs whose name `row` is to take, as their source has been started over.
[[nodiscard]] Result<std::vector<std::uint64_t>> superseded(ledger::View& view, const ledger::Output& row);

}  // namespace leat::writer
