// Once a day: which of the known sources are not there any more? One that is missed for long is forgotten by the writer
// (ledger::kScansKept), so that the ledger of a daemon does not grow for ever.
//
// Each name is asked for by itself, of the ledger's rows a few at a time: no memory, and one stat a source and day. What an
// absent mount would say as well is not believed: source.require_mount must be mounted, and each folder in front of a
// wildcard must be there with something in it, before and after. Sources that we have moved or deleted are not there
// whatever the mount says. Of files that no glob matches today nothing is said.
//
// The time between two polls is by our steady clock, and from run to run by that of the machine.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>

#include "proto/base/result.h"
#include "workers/ledger/ledger.h"
#include "workers/reader/known.h"
#include "workers/reader/shared.h"

namespace leat::reader {

class PresenceScan {
 public:
  // Both are borrowed for the life of this.
  PresenceScan(const ReadAhead::Shared& shared, const Known& known) : shared_(shared), known_(known) {}

  bool due();
  // The next part of the scan that is due; with `whole` it is over. kRetry: the mount is in fault, and the scan is put off;
  // kFatal: the ledger's faults.
  [[nodiscard]] Result<ledger::Presence> next();

 private:
  using Clock = std::chrono::steady_clock;

  bool believable() const;
  Result<ledger::Presence> part();
  [[nodiscard]] Result<void> check(const ledger::View::Sought& source, ledger::Presence& presence) const;

  const ReadAhead::Shared& shared_;
  const Known& known_;
  bool scheduled_ = false;
  Clock::time_point due_at_{};
  std::uint64_t last_ = 0;  // id searched for; 0: the scan has not begun
  bool believed_ = false;
};

}  // namespace leat::reader
