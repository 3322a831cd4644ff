#include "workers/writer/preflight.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <string>

#include "workers/writer/file.h"
#include "workers/writer/target.h"

namespace leat::writer {

namespace {

using ledger::OutputState;

// What a writer that was killed has written since its last commit is less, whatever limits.commit was then.
constexpr std::uint64_t kMostUncommitted = 64 * config::kMiB;

class Preflight {
 public:
  Preflight(ledger::View& view, const config::Pipeline& pipeline, const RunOptions& options)
      : view_(view),
        sink_(pipeline.sink),
        options_(options),
        most_uncommitted_(2 * std::max(kMostUncommitted, pipeline.limits.commit_bytes)),
        target_(pipeline.sink.path, pipeline.source.paths) {}

  Result<void> check(bool exact) {
    if (!sink_.require_mount.empty()) {
      if (auto mounted = check_mount(sink_.require_mount); !mounted) return mounted;
    }
    if (auto known = check_reread(); !known) return known;
    if (auto folder = check_sink(); !folder) return folder;
    if (options_.fresh) return options_.force ? Result<void>{} : check_fresh();
    if (auto lengths = check_lengths(exact); !lengths) return lengths;
    return options_.force ? Result<void>{} : check_next();
  }

 private:
  std::string expand(const std::string& source, std::uint64_t n) const {
    return target_.expand(source, n, std::chrono::system_clock::now());
  }

  Result<void> check_sink() const {
    const bool is_pipe = !target_.per_source() && is_special(expand({}, 1));
    return is_pipe ? Result<void>{} : check_folder(target_.fixed_folder());
  }

  // Is there a file already, where one would be made?
  static Result<bool> is_taken(const std::string& target) {
    auto there = LEAT_TRY(stat_file(target));
    return there && there->regular;
  }

  Result<void> check_reread() {
    for (const std::string& path : options_.reread) {
      auto known = LEAT_TRY(view_.source_at(path));
      if (known) continue;
      return fail(
          Fault::kFatal,
          fmt::format("--reread {}: this pipeline has not read it yet; `leat sources` lists what it has",
                      path),
          kExitUsage);
    }
    if (options_.reread.empty() || options_.fresh || target_.per_source() || target_.numbered()) return {};
    std::string target = expand({}, 1);
    auto taken = LEAT_TRY(is_taken(target));
    if (!taken) return {};
    return fail(
        Fault::kFatal,
        fmt::format("--reread {}: {} is whole, and holds records of other sources as well: --fresh "
                    "--force makes it again from all of them; with {{n}} or {{stem}} in sink.path one "
                    "can be read again",
                    options_.reread.front(), target),
        kExitConfig);
  }

  Result<void> check_fresh() {
    Result<void> result;
    auto check = [&](const std::string& source) {
      std::string target = expand(source, 1);
      auto taken = is_taken(target);
      if (!taken) result = tl::unexpected(taken.error());
      if (taken && *taken) {
        result =
            fail(Fault::kFatal,
                 fmt::format("{} exists already, so nothing was forgotten: --fresh --force replaces it, or "
                             "move it away",
                             target),
                 kExitConfig);
      }
      return result.has_value();
    };
    if (!target_.per_source()) {
      check({});
      return result;
    }
    auto done = view_.each_source([&](const ledger::Source& source) { return check(source.path); });
    return done ? result : done;
  }

  Result<void> check_lengths(bool exact) {
    auto rows = LEAT_TRY(view_.unfinished_outputs());
    for (const ledger::Output& row : rows) {
      auto there = LEAT_TRY(stat_file(row.temporary));
      std::uint64_t most = exact ? row.length : row.length + most_uncommitted_;
      if (!there || there->size <= most) continue;
      return older(
          fmt::format("{} has {} bytes, and the state knows of {}", row.temporary, there->size, row.length),
          fmt::format("`truncate -s {} {}` continues from there", row.length, row.temporary));
    }
    return {};
  }

  // The next number would be new, if the ledger knew of all.
  Result<void> check_next() {
    if (target_.per_source() || !target_.numbered()) return {};
    auto last = LEAT_TRY(view_.last_n(0));
    if (last == 0) return {};
    std::string next = expand({}, last + 1);
    auto taken = LEAT_TRY(is_taken(next));
    if (!taken) return {};
    return older(fmt::format("{} is there, and the state knows of outputs up to {} only", next, last),
                 fmt::format("move away what is newer than {}", last));
  }

  static Result<void> older(const std::string& what, const std::string& way_out) {
    return fail(
        Fault::kFatal,
        fmt::format("{}: it was put back from an older copy, it seems. Put back the newest; or {}, and "
                    "what was read since comes again",
                    what, way_out));
  }

  ledger::View& view_;
  const config::Sink& sink_;
  const RunOptions& options_;
  std::uint64_t most_uncommitted_;
  Target target_;
};

}  // namespace

Result<void> preflight(ledger::View& view, const config::Pipeline& pipeline, const RunOptions& options,
                       bool exact) {
  return Preflight(view, pipeline, options).check(exact);
}

}  // namespace leat::writer
