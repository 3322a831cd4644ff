// What runs in the thread of ReadAhead: lists, decides, reads, finishes.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <unordered_set>

#include "workers/reader/finisher.h"
#include "workers/reader/listing.h"
#include "workers/reader/look.h"
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

  bool look_at_open_sources();
  bool tell_missing();
  bool look();
  bool hear_commits();
  bool finish_what_is_due();
  bool finish_the_rest();
  bool pause();

  std::shared_ptr<ReadAhead::Shared> shared_;
  const ReadAhead::Options& options_;
  Known& known_;
  SourceReader reader_;
  Finisher finisher_;
  DailyLook look_;
  std::uint64_t looks_untold_ = 0;                   // parts that are not committed yet
  std::unordered_set<std::uint64_t> uncommitted_;    // ended, with a source.after to come
  std::map<std::uint64_t, ledger::Source> missing_;  // half read by earlier runs, and not found yet
  std::uint64_t done_ = 0;
  std::optional<Error> error_;
};

}  // namespace leat::reader
