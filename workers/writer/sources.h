// The ledger's rows of the sources that records come from: what has been applied of each, kept in memory until the next
// commit. Per batch only a row here changes.
//
// Also counts what a run has come to: a source that ends twice in one run (it grew, or an epoch was begun again) is
// counted once, as what it is at the end.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "proto/base/result.h"
#include "proto/batch.h"
#include "proto/source_event.h"
#include "workers/ledger/ledger.h"

namespace leat::writer {

class Sources {
 public:
  // view, run: borrowed for the life of this. The run's counts of records and sources are kept up to date. after:
  // source.after, for sources that are done.
  Sources(ledger::View& view, ledger::Run& run, std::string after)
      : view_(view), run_(run), after_(std::move(after)) {}

  // Goes on at the header's position, which must be where the ledger's row is. kFatal, 70: it is not, or the source is
  // open already. The row is good until the next call of anything.
  [[nodiscard]] Result<const ledger::Source*> open(const proto::Header& header,
                                                   const proto::SourceOpened& event);

  // A batch of records: place and counts. The row of its source. kFatal, 70: its counts do not add up, or its source is
  // not open. by_reference: of its rejects.
  [[nodiscard]] Result<const ledger::Source*> apply(const proto::Header& header);
  void add_by_reference(std::uint64_t source, std::uint64_t count);

  // What ends it. A source that was not open is looked up, or new. True: it was open.
  [[nodiscard]] Result<bool> end(const proto::Header& header, const proto::SourceEnded& event);
  [[nodiscard]] Result<bool> fail_at(const proto::Header& header, const proto::SourceFailed& event);
  [[nodiscard]] Result<bool> change(const proto::Header& header, const proto::SourceChanged& event);

  // The same content has another path.
  [[nodiscard]] Result<void> move(const proto::Header& header, const proto::SourceMoved& event);
  // source.after was carried out, if there is no reason why not.
  [[nodiscard]] Result<void> finish(const proto::Header& header, const proto::SourceFinished& event);

  // It has ended, and the ledger does not know it yet.
  bool ended_unreported(std::uint64_t id) const { return ended_.contains(id); }

  // Rows that have changed since the last commit, by id; then forget that they have.
  void prepare(ledger::Commit& commit) const;
  void committed();
  bool pending() const { return changed_ || !ended_.empty(); }
  bool crowded() const { return ended_.size() >= kMaxEnded; }
  bool resumed() const { return resumed_; }  // one that an earlier run had begun

 private:
  static constexpr std::size_t kMaxEnded = 1024;  // rows that wait for a commit
  struct Open {
    ledger::Source row;
    bool changed = true;
  };

  Result<ledger::Source> find_or_make(const proto::Header& header, const std::string& path);
  Result<ledger::Source*> look_up(const proto::Header& header, const std::string& path);
  Result<bool> close(const proto::Header& header, const std::string& path, ledger::SourceState state,
                     const std::string& reason, bool retry = false);
  void count(ledger::SourceState state, int by);

  ledger::View& view_;
  ledger::Run& run_;
  std::string after_;
  std::map<std::uint64_t, Open> open_;
  std::map<std::uint64_t, ledger::Source> ended_;  // or otherwise changed, while not open
  bool changed_ = false;
  bool resumed_ = false;
};

}  // namespace leat::writer
