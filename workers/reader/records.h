// What the reader asks the ledger. An interface, so that tests of the reader need no ledger.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "proto/base/result.h"
#include "workers/ledger/ledger.h"

namespace leat::reader {

// Each answer is of one moment; faults are those of ledger::View.
class Records {
 public:
  virtual ~Records() = default;
  [[nodiscard]] virtual Result<std::uint64_t> last_id() = 0;
  using EachDone = std::function<void(std::string_view path, std::uint64_t size, std::int64_t mtime_ns)>;
  // Those of state kDone.
  [[nodiscard]] virtual Result<void> each_done(const EachDone& each) = 0;
  // Not kDone, or with an `after` that was not done yet.
  [[nodiscard]] virtual Result<std::vector<ledger::Source>> open() = 0;
  [[nodiscard]] virtual Result<std::optional<ledger::Source>> at(const std::string& path) = 0;
  [[nodiscard]] virtual Result<std::vector<ledger::Source>> like(std::uint64_t size,
                                                                 std::int64_t mtime_ns) = 0;
  // source.after may be done: of kDone, by id, behind `last`. And what it may wait for, see ledger::View.
  [[nodiscard]] virtual Result<std::vector<ledger::Source>> after_due(std::uint64_t last,
                                                                      std::size_t count) = 0;
  [[nodiscard]] virtual Result<std::uint64_t> oldest_unfinished() = 0;
  // For a presence scan.
  [[nodiscard]] virtual Result<std::vector<ledger::View::Sought>> sought_after(std::uint64_t last,
                                                                               std::size_t count) = 0;
  [[nodiscard]] virtual Result<std::int64_t> looked_s() = 0;
  // Has an output of this source alone got its name?
  [[nodiscard]] virtual Result<bool> published(std::uint64_t id) = 0;
};

// The ledger in this folder; null: there is none.
[[nodiscard]] Result<std::unique_ptr<Records>> open_records(const std::string& state_folder);

}  // namespace leat::reader
