#include "workers/reader/io_thread.h"

#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
#include <utility>

#include "config/glob.h"

namespace leat::reader {
namespace {

using Clock = std::chrono::steady_clock;
using Doing = ReadAhead::Doing;
using ledger::SourceState;

constexpr std::size_t kAtOnce = 512;  // rows in memory

}  // namespace

IoThread::IoThread(std::shared_ptr<ReadAhead::Shared> shared)
    : shared_(std::move(shared)),
      options_(shared_->options),
      known_(*options_.known),
      reader_(shared_),
      own_outputs_(options_.outputs),
      presence_scan_(*shared_, known_) {}

End IoThread::run() {
  const bool used_up = options_.follow ? follow() : read_all();
  return {!used_up && !error_, std::move(error_), done_};
}

bool IoThread::give_up(Error error) {
  error_ = std::move(error);
  return false;
}

bool IoThread::read_all() {
  std::optional<Listing> listing = list();
  if (!listing) return false;
  done_ = listing->left_out;
  Listed listed{listing->files.size(), done_, listing->total_bytes, std::move(listing->skipped)};
  const Result<bool> left = known_.output_left();
  if (!left) return give_up(left.error());
  listed.output_left = *left;
  if (!push(std::move(listed)) || !check_open_sources()) return false;
  for (const File& file : listing->files) {
    if (!take(file) || !take_commits()) return false;
  }
  return report_missing() && finish_the_rest() && scan_presence();
}

bool IoThread::follow() {
  Settler settler(options_.source.settle);
  bool first = true;
  for (;;) {
    std::optional<Listing> listing = list();
    if (!listing) return false;
    if (std::exchange(first, false)) {
      done_ = listing->left_out;
      if (!push(Listed{listing->files.size(), done_, listing->total_bytes, std::move(listing->skipped)}))
        return false;
      if (!check_open_sources()) return false;
    }
    const std::vector<File> files =
        options_.source.growing ? std::move(listing->files) : settler.feed(listing->files, Clock::now());
    for (const File& file : files) {
      if (!take(file) || !take_commits()) return false;
    }
    if (!scan_presence() || !pause()) return false;
  }
}

// A listing to believe; nullopt: stopped or given up.
std::optional<Listing> IoThread::list() {
  Outage outage;
  for (;;) {
    shared_->board.set(Doing::kListing, "");
    std::string fault;
    if (shared_->outages.mount_is_there()) {
      Listing listing =
          list_files(options_.source, [this](const File& file) { return known_.nothing_to_do(file); });
      fault = std::move(listing.fault);
      if (fault.empty() && !shared_->outages.mount_is_there()) fault = shared_->outages.mount_fault();
      if (fault.empty()) {
        shared_->board.clear_fault();
        return listing;
      }
    } else {
      fault = shared_->outages.mount_fault();
    }
    if (!shared_->outages.retry(outage, "", fault)) return std::nullopt;
    if (outage.over && !options_.follow) {
      give_up({Fault::kFatal, fault});
      return std::nullopt;
    }
  }
}

std::optional<Decision> IoThread::decide(const File& file) {
  Outage outage;
  for (;;) {
    Result<Decision> decision = known_.decide(file);
    if (decision) return *std::move(decision);
    if (decision.error().fault == Fault::kReject)
      return Decision{Decision::Kind::kIgnore};  // it has just gone
    if (decision.error().fault == Fault::kFatal || (outage.over && !options_.follow)) {
      give_up({Fault::kFatal, decision.error().text, decision.error().exit_code});
      return std::nullopt;
    }
    if (!shared_->outages.retry(outage, file.path, decision.error().text)) return std::nullopt;
  }
}

bool IoThread::take(const File& file) {
  std::optional<Decision> decision = decide(file);
  if (!decision) return false;
  missing_.erase(decision->id);
  if (!decision->moved_from.empty() && !push(SourceMoved{decision->id, file.path, decision->moved_from}))
    return false;
  switch (decision->kind) {
    case Decision::Kind::kRead:
      return read(*decision, file);
    case Decision::Kind::kDone:
      done_ += 1;
      known_.done(file);
      return true;
    case Decision::Kind::kIgnore:
      known_.quiet(file);
      return true;
    case Decision::Kind::kChanged:
      known_.quiet(file);
      known_.left(decision->id, file, decision->at, SourceState::kChanged, decision->reason);
      return push(SourceChanged{decision->id, file.path, decision->reason});
    case Decision::Kind::kFailed:
      known_.quiet(file);
      return push(SourceFailed{decision->id, file.path, decision->at, decision->reason, false});
  }
  return true;
}

bool IoThread::read(const Decision& decision, const File& file) {
  if (own_outputs_.holds(file.path)) {
    return give_up(
        {Fault::kFatal,
         fmt::format("{} is an output of this pipeline, under another name of its folder: name the "
                     "sources more closely, or write to another folder",
                     file.path),
         kExitConfig});
  }
  const Outcome outcome = reader_.read(decision, file);
  const File& now = reader_.file();
  const Position& at = reader_.position();
  const std::uint64_t id = decision.id;
  switch (outcome.kind) {
    case Outcome::Kind::kEnded:
      known_.done(now);
      known_.left(id, now, at, SourceState::kDone);
      return push(SourceEnded{id, now, at});
    case Outcome::Kind::kFailed:
      known_.quiet(now);
      known_.left(id, now, at, SourceState::kFailed, outcome.reason, outcome.retry);
      return push(SourceFailed{id, now.path, at, outcome.reason, outcome.retry});
    case Outcome::Kind::kChanged:
      known_.quiet(file);
      known_.left(id, now, at, SourceState::kChanged, outcome.reason);
      return push(SourceChanged{id, now.path, outcome.reason});
    case Outcome::Kind::kWaits:
      if (!outcome.more) known_.quiet(now);
      known_.left(id, now, at, SourceState::kReading);
      if (options_.follow) return true;
      return push(Note{fmt::format("{}: {}: left for a later run", now.path, outcome.reason)});
    case Outcome::Kind::kGone:
      return true;
    case Outcome::Kind::kGivenUp:
      return give_up({Fault::kFatal, outcome.reason});
    case Outcome::Kind::kStopped:
      return false;
  }
  return true;
}

// What earlier runs have left half read, or to be moved or deleted.
bool IoThread::check_open_sources() {
  finishes_ = known_.has_records() && !options_.source.after.empty();
  Result<std::vector<ledger::Source>> open = known_.open_sources();
  if (!open) return give_up(std::move(open.error()));
  for (ledger::Source& row : *open) {
    if (row.state == SourceState::kReading && row.place.lines > 0 && !options_.follow) {
      missing_.emplace(row.id, std::move(row));
    } else if (row.state == SourceState::kDone) {
      finishes_ = true;
    }
  }
  return finish_what_is_due();
}

// What is half read and was not listed is told, and nothing else: that it is gone is also what a mount says that is
// unavailable.
bool IoThread::report_missing() {
  for (const auto& [id, row] : missing_) {
    if (!config::is_source(options_.source.paths, options_.source.exclude, row.path)) continue;
    if (!push(Note{
            fmt::format("{}: it was read up to line {}, offset {}, and is not there now; a run that finds it "
                        "continues there",
                        row.path, row.place.lines, row.place.offset)})) {
      return false;
    }
  }
  return true;
}

// Once a day. Then the writer may forget some sources; so nothing more is decided until it has, or what is decided could
// continue with one that is not known any more.
bool IoThread::scan_presence() {
  if (!presence_scan_.due()) return true;
  for (bool whole = false; !whole;) {
    shared_->board.set(Doing::kListing, "");
    Result<ledger::Presence> part = presence_scan_.next();
    if (!part && part.error().fault == Fault::kFatal) return give_up(std::move(part.error()));
    if (!part) break;  // the mount: another time
    whole = part->whole;
    if (part->empty()) continue;
    ++uncommitted_;
    if (!push(Presence{*std::move(part)})) return false;
  }
  while (options_.follow && uncommitted_ > 0) {
    shared_->board.set(Doing::kFinishing, "");
    if (shared_->queue.sleep_until_commit(options_.commit_patience) || !take_commits()) return false;
  }
  return true;
}

bool IoThread::take_commits() {
  const std::vector<std::uint64_t> committed = shared_->queue.take_committed();
  for (const std::uint64_t id : committed) {
    if (id == 0) --uncommitted_;
    known_.committed(id);
    finished_.erase(id);
  }
  return committed.empty() ? !shared_->queue.stopped() : finish_what_is_due();
}

// Until the mount is unavailable: then the rest waits for another time.
bool IoThread::finish_what_is_due() {
  if (!finishes_) return !shared_->queue.stopped();
  const Result<bool> done = finish_some();
  if (!done && done.error().fault == Fault::kFatal) return give_up(done.error());
  return !shared_->queue.stopped();
}

// Whatever the ledger says is due. kRetry: the mount is unavailable. False: stopped.
Result<bool> IoThread::finish_some() {
  shared_->board.set(Doing::kFinishing, "");
  const std::uint64_t oldest = LEAT_TRY(known_.oldest_unfinished());
  if (oldest != 0 && finished_before_ == oldest) return true;  // what there is more of waits for it too
  std::unordered_set<std::uint64_t> seen;
  std::uint64_t last = 0;
  for (bool more = true; more;) {
    const std::vector<ledger::Source> due = LEAT_TRY(known_.after_due(last, kAtOnce));
    more = due.size() == kAtOnce;
    for (const ledger::Source& row : due) {
      last = row.id;
      seen.insert(row.id);
      if (finished_.contains(row.id)) continue;
      Result<SourceFinished> finished = finish_source(row);
      if (!finished && finished.error().fault == Fault::kRetry) return tl::unexpected(finished.error());
      finished_.insert(row.id);
      if (finished && !push(*std::move(finished))) return false;
    }
  }
  finished_ = std::move(seen);  // of the others the ledger has it as done
  finished_before_ = oldest;
  return true;
}

// A plain run has read everything: its outputs get their names, and then source.after is done; the next run does what is
// left.
bool IoThread::finish_the_rest() {
  if (!finishes_) return true;
  if (!push(InputRead{}) || !wait_for_outputs()) return false;
  Outage outage;
  for (;;) {
    const Result<bool> done = finish_some();
    if (done) break;
    if (done.error().fault != Fault::kRetry) return give_up(done.error());
    if (!shared_->outages.retry(outage, "", done.error().text)) return false;
    if (outage.over) break;
  }
  shared_->board.clear_fault();
  return !shared_->queue.stopped();
}

// But not for ever.
bool IoThread::wait_for_outputs() {
  ++uncommitted_;
  const Clock::time_point deadline = Clock::now() + options_.commit_patience;
  while (uncommitted_ > 0) {
    shared_->board.set(Doing::kFinishing, "");
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(deadline - Clock::now());
    if (left.count() <= 0) {
      return push(Note{"source.after is left to the next run: what was read is not published yet"});
    }
    if (shared_->queue.sleep_until_commit(left) || !take_commits()) return false;
  }
  return true;
}

// Between two polls.
bool IoThread::pause() {
  if (!finish_what_is_due()) return false;  // an output may have got its name by itself
  const Clock::time_point next = Clock::now() + options_.source.poll;
  for (;;) {
    shared_->board.set(Doing::kPolling, "");
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(next - Clock::now());
    if (left.count() <= 0) return !shared_->queue.stopped();
    if (shared_->queue.sleep_until_commit(left) || !take_commits()) return false;
  }
}

}  // namespace leat::reader
