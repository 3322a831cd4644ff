#include "workers/writer/begin.h"

#include <fmt/format.h>

#include <algorithm>

#include "workers/writer/temporary.h"

namespace leat::writer {

namespace {

// The ledger first, then the files: a temporary that nobody knows is removed when its name is needed again, but one that
// the ledger knows and that has gone looks like a loss, and would stop the next run.
Result<void> forget_all(ledger::Ledger& ledger) {
  auto outputs = ledger.view().unfinished_outputs();
  if (!outputs) return tl::unexpected(outputs.error());
  if (auto forgotten = ledger.forget_all(); !forgotten) return forgotten;
  for (const ledger::Output& output : *outputs) {
    if (auto removed = remove_temporary(output.temporary); !removed) return removed;
  }
  return {};
}

Result<void> start_over(ledger::Ledger& ledger, const std::vector<std::string>& paths) {
  for (const std::string& path : paths) {
    auto known = ledger.view().source_at(path);
    if (!known) return tl::unexpected(known.error());
    if (*known) continue;
    return fail(
        Fault::kFatal,
        fmt::format("--reread {}: this pipeline has not read it yet; `leat sources` lists what it has", path),
        kExitUsage);
  }
  for (const std::string& path : paths) {
    if (auto started = ledger.start_over(path); !started) return tl::unexpected(started.error());
  }
  return {};
}

// Whether records of the old pipeline would be joined by records of the new one.
Result<bool> half_done(ledger::View& view) {
  auto sources = view.open_sources();
  if (!sources) return tl::unexpected(sources.error());
  auto outputs = view.unfinished_outputs();
  if (!outputs) return tl::unexpected(outputs.error());
  return std::any_of(sources->begin(), sources->end(),
                     [](const ledger::Source& source) {
                       bool goes_on = source.state == ledger::SourceState::kReading ||
                                      source.state == ledger::SourceState::kFailed;
                       return goes_on && source.place.offset > 0;
                     }) ||
         std::any_of(outputs->begin(), outputs->end(),
                     [](const ledger::Output& output) { return output.length > 0; });
}

Result<void> check_fingerprint(ledger::Ledger& ledger, const RunOptions& options,
                               const std::function<void(const std::string&)>& on_warning) {
  auto before = ledger.fingerprint();
  if (!before) return tl::unexpected(before.error());
  if (*before == options.fingerprint) return {};
  if (*before && !options.accept_changes) {
    auto half = half_done(ledger.view());
    if (!half) return tl::unexpected(half.error());
    if (*half) {
      return fail(Fault::kFatal,
                  "filter, steps or sink have changed since the last run, and that one was not finished: "
                  "--accept-changes goes on with what is left as it is now, --fresh starts over",
                  kExitConfig);
    }
  }
  auto totals = ledger.view().totals();
  if (!totals) return tl::unexpected(totals.error());
  if (*before && totals->done > 0) {
    on_warning(
        "filter, steps or sink have changed since sources were read: what is done stays as it is; "
        "--fresh --force does it all again");
  }
  return ledger.set_fingerprint(options.fingerprint);
}

}  // namespace

Result<void> begin_run(ledger::Ledger& ledger, const RunOptions& options,
                       const std::function<void(const std::string&)>& on_warning) {
  if (options.fresh) {
    if (auto forgotten = forget_all(ledger); !forgotten) return forgotten;
  }
  if (auto started = start_over(ledger, options.reread); !started) return started;
  return check_fingerprint(ledger, options, on_warning);
}

}  // namespace leat::writer
