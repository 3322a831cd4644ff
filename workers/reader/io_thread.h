// What runs in the thread of ReadAhead: lists, decides, reads, finishes.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <unordered_set>
#include <vector>

#include "workers/reader/finisher.h"
#include "workers/reader/listing.h"
#include "workers/reader/own_outputs.h"
#include "workers/reader/presence.h"
#include "workers/reader/settler.h"
#include "workers/reader/shared.h"
#include "workers/reader/source_reader.h"

namespace leat::reader {

class IoThread {
 public:
  explicit IoThread(std::shared_ptr<ReadAhead::Shared> shared);
  End run();

 private:
  // These return false when they were stopped or given up.
  bool read_all();
  bool follow();
  bool take(const File& file);
  bool read(const Decision& decision, const File& file);
  bool push(Event event) { return shared_->queue.push(std::move(event)); }
  bool give_up(Error error);

  std::optional<Listing> list();
  std::optional<Decision> decide(const File& file);

  bool check_open_sources();
  bool report_missing();
  bool scan_presence();
  bool take_commits();
  bool finish_what_is_due();
  Result<bool> finish_some();
  bool finish_the_rest();
  bool wait_for_outputs();
  bool pause();

  std::shared_ptr<ReadAhead::Shared> shared_;
  const ReadAhead::Options& options_;
  Known& known_;
  SourceReader reader_;
  OwnOutputs own_outputs_;
  PresenceScan presence_scan_;
  std::uint64_t uncommitted_ = 0;  // parts of presence scans, and InputRead, that are not committed yet
  bool finishes_ = false;          // there is, or may come, a source.after to be done
  // source.after was tried, and the ledger does not have it as done
  std::unordered_set<std::uint64_t> finished_;
  std::optional<std::uint64_t> finished_before_;     // all was tried that does not wait for this output
  std::map<std::uint64_t, ledger::Source> missing_;  // half read by earlier runs, and not found yet
  std::uint64_t done_ = 0;
  std::optional<Error> error_;
};

}  // namespace leat::reader
