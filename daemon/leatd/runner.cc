#include "daemon/leatd/runner.h"

#include <fmt/format.h>

#include <algorithm>
#include <ctime>
#include <exception>
#include <utility>

#include "config/fingerprint.h"
#include "daemon/log/log.h"
#include "daemon/plan/state.h"
#include "proto/base/human.h"
#include "workers/stage/limits.h"

namespace leat::leatd {

using std::chrono::milliseconds;

namespace {

constexpr milliseconds kFirstPause{1'000};
constexpr milliseconds kLongestPause{10'000};
constexpr milliseconds kLongestPauseOfABug{600'000};  // the same fault comes again each time
constexpr std::chrono::seconds kWorksAgain{
    5};  // a run that lasts so long has got over what ended the one before
constexpr std::chrono::seconds kTally{60};
constexpr std::chrono::seconds kSettling{5};
constexpr milliseconds kPollInterval{500};
constexpr std::size_t kRemembered = 20;
constexpr milliseconds kStopPatience{20'000};  // with a record that takes longer; it comes again

double seconds_since(Runner::Clock::time_point then) {
  return std::chrono::duration<double>(Runner::Clock::now() - then).count();
}

}  // namespace

Runner::Runner(plan::Plan plan, const Folders& folders, std::string program_folder)
    : plan_(std::move(plan)),
      folders_(folders),
      program_folder_(std::move(program_folder)),
      run_(plan::new_run_id()),
      next_tally_(Clock::now() + kTally) {
  start();
}

std::string Runner::state_folder() const {
  return folders_.state + "/" + name();
}

void Runner::start() {
  retry_at_.reset();
  happened("pipeline-starts", {{"file", plan_.pipeline.file}});
  Result<void> started;
  try {
    started = try_start();
  } catch (const std::exception& error) {
    started = fail(Fault::kFatal, error.what(), kExitBug);
  }
  if (!started) fail_for_now(started.error().exit_code, started.error().text);
}

Result<void> Runner::try_start() {
  const int processors = plan_.pipeline.has_processors() ? plan_.pipeline.process.workers.min : 0;
  if (auto allowed = stage::allow_tasks(stage::tasks_for(plan_.pipeline, processors)); !allowed)
    return allowed;
  auto job = std::make_unique<supervisor::Job>();
  job->pipeline = plan_.pipeline;
  job->in_file_bytes = plan_.in_file_bytes;
  job->follow = true;
  job->daemon = true;
  job->run = run_;
  job->state = state_folder();
  // Whoever changes the file of a pipeline of leatd means it, also for the sources that are half done.
  job->accept_changes = true;
  job->fingerprint = config::fingerprint(plan_.pipeline);
  job->program_folder = program_folder_;
  job->runtime_root = folders_.runtime;
  job->fixed_folder = true;
  job->stop_patience = kStopPatience;
  std::string complaint;
  if (auto ready = ledger::prepare_state_folder(job->state, complaint); !ready)
    return tl::unexpected(ready.error());
  if (!complaint.empty()) warning("state", complaint);
  auto lock = ledger::RunLock::take(job->state, plan_.pipeline.file);
  if (!lock)
    return fail(Fault::kRetry, lock.error().text, kExitIo);  // `leat run`, or a replay: it ends some day
  lock_ = std::move(*lock);
  job_ = std::move(job);
  meter_ = {};
  rates_ = {};
  started_ = Clock::now();
  supervisor_ = std::make_unique<supervisor::Supervisor>(*job_, *this);
  before_.bytes_in += last_.bytes_in;
  before_.sources_done += last_.sources_done;
  last_ = {};
  if (processors_) static_cast<void>(supervisor_->scale(static_cast<int>(*processors_)));
  if (wish_ == Wish::kPaused) supervisor_->pause(true);
  return {};
}

void Runner::add_to(proto::Poller& poller) {
  if (supervisor_) supervisor_->add_to(poller);
}

milliseconds Runner::due() const {
  if (supervisor_) return supervisor_->due();
  constexpr milliseconds kNothing{1'000};
  if (!retry_at_) return kNothing;
  auto left = std::chrono::duration_cast<milliseconds>(*retry_at_ - Clock::now());
  return std::clamp(left, milliseconds{1}, kNothing);
}

void Runner::step() {
  std::erase_if(leftovers_, [](supervisor::Child& child) { return child.reap(); });
  note_state();
  if (!supervisor_) {
    bool wants = wish_ != Wish::kStopped && !for_good_;
    if (wants && (!retry_at_ || Clock::now() >= *retry_at_)) start();
    return;
  }
  try {
    supervisor_->step();
    if (supervisor_->over()) {
      for (auto& child : supervisor_->take_leftovers()) leftovers_.push_back(std::move(child));
      on_over(supervisor_->take_outcome());
    }
  } catch (const std::exception& error) {
    supervisor::Outcome outcome;
    outcome.exit_code = kExitBug;
    outcome.failure = error.what();
    on_over(outcome);
  }
  if (supervisor_ && !failure_.empty() && Clock::now() - started_ >= kWorksAgain && moves_again() &&
      state().name == "running") {
    happened("pipeline-recovered", {{"after_s", fmt::format("{:.0f}", seconds_since(*failing_since_))}});
    failure_.clear();
    failing_since_.reset();
    pause_ = milliseconds{0};
  }
}

// Since the failure something was written, or there is nothing to write.
bool Runner::moves_again() const {
  return last_.records_in > records_at_failure_ || supervisor_->status().window_batches == 0;
}

void Runner::on_over(const supervisor::Outcome& outcome) {
  supervisor_.reset();
  if (lock_ && !outcome.failure.empty()) lock_->failed(run_, outcome.exit_code, outcome.failure);
  lock_.reset();
  last_ = outcome.last;
  bool asked_for = outcome.exit_code == kExitStopped || outcome.exit_code == kExitOk;
  if (next_) {
    plan_ = *std::exchange(next_, std::nullopt);
    asked_for = true;
    happened("pipeline-swapped", {{"file", plan_.pipeline.file}});
  }
  if (!asked_for) return fail_for_now(outcome.exit_code, outcome.failure);
  if (wish_ == Wish::kStopped) happened("pipeline-stopped", {});
}

// The first time is an error; the same again is no news.
void Runner::fail_for_now(int exit_code, const std::string& text) {
  supervisor_.reset();
  lock_.reset();
  for_good_ = exit_code == kExitConfig || exit_code == kExitUsage;
  bool bug = exit_code == kExitBug && last_.records_in <= records_at_failure_;
  pause_ = std::clamp(pause_ * 2, kFirstPause, bug ? kLongestPauseOfABug : kLongestPause);
  records_at_failure_ = std::max(records_at_failure_, last_.records_in);
  retry_at_ = Clock::now() + pause_;
  if (!failing_since_) failing_since_ = Clock::now();
  if (std::exchange(failure_, text) == text) return;
  remember("error", "pipeline-failed", text);
  log::error("pipeline-failed",
             {{"pipeline", name()},
              {"exit", exit_code},
              {"text", text},
              {"next", for_good_ ? "waits for a reload or `leat resume`" : "tries again"}});
}

void Runner::pause() {
  wish_ = Wish::kPaused;
  if (supervisor_) supervisor_->pause(true);
}

void Runner::drain() {
  wish_ = Wish::kStopped;
  if (supervisor_) supervisor_->drain();
}

void Runner::stop() {
  wish_ = Wish::kStopped;
  if (supervisor_) supervisor_->stop();
}

void Runner::leave() {
  wish_ = Wish::kStopped;
  if (supervisor_) supervisor_->leave();
}

bool Runner::stopping() const {
  return supervisor_ && supervisor_->status().phase == supervisor::Phase::kStopping;
}

void Runner::try_again() {
  for_good_ = false;
  retry_at_.reset();
}

void Runner::resume() {
  wish_ = Wish::kRun;
  try_again();
  if (supervisor_) supervisor_->pause(false);
}

void Runner::swap(plan::Plan plan) {
  if (!supervisor_) {
    plan_ = std::move(plan);
    try_again();
    return;
  }
  next_ = std::move(plan);
  supervisor_->stop();
}

Result<void> Runner::scale(std::optional<std::uint32_t> processors) {
  if (!supervisor_)
    return fail(Fault::kReject, fmt::format("{} is not running: {}", name(), state().message), kExitStopped);
  auto scaled =
      processors ? supervisor_->scale(static_cast<int>(*processors)) : supervisor_->scale_automatically();
  if (scaled) processors_ = processors;
  return scaled;
}

bool Runner::settled() const {
  return !supervisor_ || supervisor_->status().phase != supervisor::Phase::kStarting ||
         Clock::now() - started_ >= kSettling;
}

supervisor::Snapshot Runner::totals() const {
  supervisor::Snapshot totals = supervisor_ ? supervisor_->status().totals : last_;
  totals.bytes_in += before_.bytes_in;
  totals.sources_done += before_.sources_done;
  totals.sources_total += before_.sources_done;
  return totals;
}

std::optional<supervisor::Status> Runner::status() const {
  if (!supervisor_) return std::nullopt;
  return supervisor_->status();
}

Runner::State Runner::state() const {
  State state = state_now();
  state.state_seconds = state.name == state_name_ ? seconds_since(state_since_) : 0;
  return state;
}

Runner::State Runner::state_now() const {
  if (supervisor_) {
    auto status = supervisor_->status();
    // After a failure it has not proved yet that it works.
    if (status.phase == supervisor::Phase::kStarting && status.message.empty()) status.message = failure_;
    return {to_string(status.phase), status.message};
  }
  if (wish_ == Wish::kStopped)
    return {"stopped", fmt::format("stopped: run `leat resume {}` to continue", name())};
  return {for_good_ ? "failed" : "waiting", failure_};
}

void Runner::note_state() {
  if (Clock::now() - state_polled_ < kPollInterval) return;
  state_polled_ = Clock::now();
  std::string_view now = state_now().name;
  if (now == state_name_) return;
  state_name_ = now;
  state_since_ = Clock::now();
}

void Runner::remember(std::string_view level, std::string_view event, std::string text) {
  if (text.size() > log::kMaxValueBytes)
    text.resize(log::kMaxValueBytes);  // the log has no more of it either
  happenings_.push_back({std::time(nullptr), level, std::string(event), std::move(text)});
  if (happenings_.size() > kRemembered) happenings_.pop_front();
}

void Runner::warning(std::string_view event, std::string_view text) {
  remember("warning", event, std::string(text));
  log::warning(event, {{"pipeline", name()}, {"text", text}});
}

void Runner::note(std::string_view event, std::string_view text) {
  remember("info", event, std::string(text));
  log::info(event, {{"pipeline", name()}, {"text", text}});
}

void Runner::happened(std::string_view event, const supervisor::Fields& fields) {
  std::string text;
  log::Fields line{{"pipeline", name()}};
  for (const auto& [key, value] : fields) {
    text += fmt::format("{}{}={}", text.empty() ? "" : " ", key, value);
    line.push_back({key, value});
  }
  remember("info", event, std::move(text));
  log::info(event, line);
}

void Runner::tick(const supervisor::Snapshot& snapshot) {
  rates_ = meter_.add(snapshot);
  last_ = snapshot;
  if (Clock::now() < next_tally_) return;
  next_tally_ = Clock::now() + kTally;
  if (std::exchange(tallied_, snapshot.records_in) == snapshot.records_in) return;
  log::info("tally", {{"pipeline", name()},
                      {"in", snapshot.records_in},
                      {"kept", snapshot.kept},
                      {"dropped", snapshot.dropped},
                      {"dead", snapshot.dead},
                      {"rate", human_rate(rates_.bytes)},
                      {"sources_done", snapshot.sources_done},
                      {"sources_failed", snapshot.sources_failed}});
}

}  // namespace leat::leatd
