#include "workers/writer/recovery.h"

#include <fmt/format.h>

#include <utility>

#include "workers/writer/file.h"
#include "workers/writer/temporary.h"

namespace leat::writer {

namespace {

using ledger::OutputState;

class Recovery {
 public:
  Recovery(ledger::View& view, const Target& target, const OutputOptions& options)
      : view_(view), target_(target), options_(options) {}

  Result<void> check_output(const ledger::Output& row) {
    if (row.state == OutputState::kComplete) return complete(row);
    bool ours = target_.fits(row.target) && (row.source != 0) == target_.per_source();
    if (!ours) return give_up(row);
    return row.source == 0 ? go_on(row) : check(row);
  }

  Recovered take() { return std::move(found_); }

 private:
  Result<std::unique_ptr<Output>> reopen(const ledger::Output& row) {
    auto replaced = LEAT_TRY(superseded(view_, row));
    OutputOptions options = options_;
    options.force = options.force || !replaced.empty();
    return Output::reopen(row, options);
  }

  Result<void> complete(const ledger::Output& row) {
    auto temporary = LEAT_TRY(stat_file(row.temporary));
    if (temporary) {
      auto output = LEAT_TRY(reopen(row));
      found_.whole.push_back(std::move(output));
      return {};
    }
    auto target = LEAT_TRY(stat_file(row.target));
    if (!target || target->size != row.length) {
      std::string state = target ? fmt::format("has {} bytes", target->size) : "is missing";
      std::string text = fmt::format("{} was complete with {} bytes, but {} has gone and {} {}", row.target,
                                     row.length, row.temporary, row.target, state);
      if (!options_.force) {
        return fail(Fault::kFatal, fmt::format("{}: is its file system mounted? Put it back{}", text,
                                               options_.daemon ? "" : ", or continue without it by --force"));
      }
      found_.notes.push_back(text + ": continuing without it");
    } else if (auto synced = sync_folder(folder_of(row.target)); !synced) {
      return synced;
    }
    found_.rows.push_back(row);
    found_.rows.back().state = OutputState::kPublished;
    return {};
  }

  // The sink path has changed (--accept-changes): what is in the output stays an output.
  Result<void> give_up(const ledger::Output& row) {
    if (row.length == 0) {
      found_.forgotten.push_back(row.id);
      return remove_temporary(row.temporary);
    }
    ledger::Output whole = row;
    whole.state = OutputState::kComplete;
    auto output = LEAT_TRY(reopen(whole));
    found_.whole.push_back(std::move(output));
    return {};
  }

  Result<void> go_on(const ledger::Output& row) {
    if (found_.open) {
      return fail(Fault::kFatal,
                  fmt::format("the ledger has two unfinished outputs of all sources: {} and {}",
                              found_.open->target(), row.target),
                  kExitBug);
    }
    found_.open = LEAT_TRY(reopen(row));
    return {};
  }

  Result<void> check(const ledger::Output& row) {
    auto source = LEAT_TRY(view_.source_with(row.source));
    if (source && source->place.offset == 0 && row.length > 0) {
      // It starts over. The ledger first: a file that is shorter than it says is taken for a loss.
      found_.rows.push_back(row);
      found_.rows.back().length = 0;
      found_.rows.back().record_bytes = 0;
      return {};
    }
    if (row.length == 0) return {};
    auto output = reopen(row);
    return output ? Result<void>{} : tl::unexpected(output.error());
  }

  ledger::View& view_;
  const Target& target_;
  const OutputOptions& options_;
  Recovered found_;
};

}  // namespace

Result<Recovered> recover(ledger::View& view, const Target& target, const OutputOptions& options) {
  auto rows = LEAT_TRY(view.unfinished_outputs());
  Recovery recovery(view, target, options);
  for (const ledger::Output& row : rows) {
    LEAT_TRY(recovery.check_output(row));
  }
  return recovery.take();
}

Result<std::unique_ptr<Output>> reopen_output(ledger::View& view, std::uint64_t source,
                                              const OutputOptions& options) {
  auto rows = LEAT_TRY(view.outputs_of_source(source));
  for (const ledger::Output& row : rows) {
    if (row.state != OutputState::kWriting) continue;
    auto replaced = LEAT_TRY(superseded(view, row));
    OutputOptions with = options;
    with.force = with.force || !replaced.empty();
    return Output::reopen(row, with);
  }
  return std::unique_ptr<Output>();
}

Result<std::vector<std::uint64_t>> superseded(ledger::View& view, const ledger::Output& row) {
  std::vector<std::uint64_t> ids;
  if (row.source == 0) return ids;
  auto rows = LEAT_TRY(view.outputs_of_source(row.source));
  for (const ledger::Output& other : rows) {
    if (other.target == row.target && other.id != row.id && other.state == OutputState::kPublished) {
      ids.push_back(other.id);
    }
  }
  return ids;
}

}  // namespace leat::writer
