// Outputs that are whole: on the disk and complete in the ledger with the next commit, then under their own names, then
// published in the ledger with the commit after that.
//
// Each step is safe to be killed behind: see recovery.h for how the next writer continues. They wait for each other so
// that many small outputs share one commit; crowded() says when there are enough.
#pragma once

#include <cstdint>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "proto/base/result.h"
#include "workers/ledger/ledger.h"
#include "workers/writer/output.h"

namespace leat::writer {

struct Published {
  std::string path;
  std::uint64_t record_bytes = 0;  // uncompressed
  std::uint64_t disk_bytes = 0;
};

class Publisher {
 public:
  // output: takes no more records. A special one ends here.
  [[nodiscard]] Result<void> add(std::unique_ptr<Output> output);

  // A row that the ledger is to hear of with the next commit.
  void add(ledger::Output row);

  // Before a commit: all is on the disk. The rows belong to this.
  [[nodiscard]] Result<void> prepare(ledger::Commit& commit);

  // After it: gives the outputs their names, durably. Returns the rows of those (until the next call of anything).
  [[nodiscard]] Result<const std::vector<ledger::Output>*> committed();

  bool pending() const { return !waiting_.empty() || !rows_.empty(); }
  bool crowded() const { return waiting_.size() >= kMaxOpen; }

  // What was published since the last call.
  std::vector<Published> take_published() { return std::exchange(published_, {}); }

 private:
  static constexpr std::size_t kMaxOpen = 32;  // outputs that keep their descriptors while they wait
  void announce(const ledger::Output& row);

  std::vector<std::unique_ptr<Output>> waiting_;
  std::vector<ledger::Output> rows_;
  std::vector<Published> published_;
};

}  // namespace leat::writer
