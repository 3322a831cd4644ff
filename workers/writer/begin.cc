#include "workers/writer/begin.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>

#include "workers/writer/preflight.h"
#include "workers/writer/temporary.h"

namespace leat::writer {

namespace {

// The ledger first, then the files: an unknown temporary is removed when its name is needed again, but one that
// the ledger knows and that has gone looks like a loss, and would stop the next run.
Result<void> forget_all(ledger::Ledger& ledger) {
  auto outputs = LEAT_TRY(ledger.view().unfinished_outputs());
  if (auto forgotten = ledger.forget_all(); !forgotten) return forgotten;
  for (const ledger::Output& output : outputs) {
    if (auto removed = remove_temporary(output.temporary); !removed) return removed;
  }
  return {};
}

Result<void> start_over(ledger::Ledger& ledger, const std::vector<std::string>& paths) {
  for (const std::string& path : paths) {
    LEAT_TRY(ledger.start_over(path));
  }
  return {};
}

// Whether records of the old pipeline would be joined by records of the new one.
Result<bool> half_done(ledger::View& view, const std::vector<std::string>& reread) {
  auto sources = LEAT_TRY(view.open_sources());
  auto outputs = LEAT_TRY(view.unfinished_outputs());
  return std::any_of(sources.begin(), sources.end(),
                     [&reread](const ledger::Source& source) {
                       if (std::find(reread.begin(), reread.end(), source.path) != reread.end()) return false;
                       bool goes_on = source.state == ledger::SourceState::kReading ||
                                      source.state == ledger::SourceState::kFailed;
                       return goes_on && source.place.offset > 0;
                     }) ||
         std::any_of(outputs.begin(), outputs.end(),
                     [](const ledger::Output& output) { return output.length > 0; });
}

Result<void> check_fingerprint(ledger::Ledger& ledger, const std::optional<std::uint64_t>& before,
                               const RunOptions& options) {
  if (!before || *before == options.fingerprint || options.accept_changes || options.fresh) return {};
  auto half = LEAT_TRY(half_done(ledger.view(), options.reread));
  if (!half) return {};
  return fail(Fault::kFatal,
              "filter, steps or sink have changed since the last run, which was not finished: "
              "--accept-changes continues with them, --fresh starts over",
              kExitConfig);
}

Result<void> set_fingerprint(ledger::Ledger& ledger, const std::optional<std::uint64_t>& before,
                             const RunOptions& options,
                             const std::function<void(const std::string&)>& on_warning) {
  if (before == options.fingerprint) return {};
  auto totals = LEAT_TRY(ledger.view().totals());
  if (before && totals.done > 0) {
    on_warning(
        fmt::format("filter, steps or sink have changed since sources were read: what is done stays as "
                    "it is{}",
                    options.daemon ? "" : "; --fresh --force does it all again"));
  }
  return ledger.set_fingerprint(options.fingerprint);
}

Result<void> check_letters(ledger::View& view, const RunOptions& options, bool exact, DeadLetters& letters) {
  if (options.fresh) return letters.check(std::nullopt, exact);
  auto known = view.dead_letters();
  return known ? letters.check(*known, exact) : tl::unexpected(known.error());
}

}  // namespace

Result<void> begin_run(ledger::Ledger& ledger, const config::Pipeline& pipeline, const RunOptions& options,
                       bool exact, DeadLetters* letters,
                       const std::function<void(const std::string&)>& on_warning) {
  if (auto clear = preflight(ledger.view(), pipeline, options, exact); !clear) return clear;
  auto before = LEAT_TRY(ledger.fingerprint());
  if (auto same = check_fingerprint(ledger, before, options); !same) return same;
  if (letters != nullptr) {
    if (auto clear = check_letters(ledger.view(), options, exact, *letters); !clear) return clear;
  }
  // Here nothing has changed yet; from here on nothing is refused.
  if (options.fresh) {
    if (auto forgotten = forget_all(ledger); !forgotten) return forgotten;
  }
  if (auto started = start_over(ledger, options.reread); !started) return started;
  return set_fingerprint(ledger, before, options, on_warning);
}

}  // namespace leat::writer
