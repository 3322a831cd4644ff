#include "workers/writer/stage.h"

#include <fmt/format.h>

#include <ctime>
#include <utility>

namespace leat::writer {

namespace {

constexpr std::size_t kMaxScanned = 8192;  // sources that wait for a commit

}  // namespace

WriterStage::WriterStage(const config::Pipeline& pipeline, ledger::Ledger& ledger, RunOptions options,
                         OnWarning on_warning)
    : pipeline_(pipeline),
      ledger_(ledger),
      options_(std::move(options)),
      on_warning_(std::move(on_warning)),
      sink_(pipeline.sink, pipeline.source.paths, options_.force, std::chrono::system_clock::now,
            options_.daemon),
      sources_(ledger.view(), run_, pipeline.source.after) {
  if (!pipeline.dead_letter_path.empty())
    dead_letters_ = std::make_unique<DeadLetters>(pipeline.dead_letter_path);
}

Result<std::uint64_t> WriterStage::begin() {
  ledger::View& view = ledger_.view();
  auto last = LEAT_TRY(view.last_run());
  if (last && last->id != options_.run) whole_before_ = last->ended_s != 0;
  auto known = LEAT_TRY(view.run(options_.run));
  if (!known) {
    LEAT_TRY(begin_run(ledger_, pipeline_, options_, whole_before_, dead_letters_.get(), on_warning_));
  }
  auto epoch = ledger_.begin_epoch(options_.run);
  if (!epoch) return epoch;
  auto run = LEAT_TRY(view.run(options_.run));
  LEAT_CHECK(run.has_value(), options_.run);
  run_ = *run;
  done_at_begin_ = run_.sources_done;
  LEAT_TRY(recall_published());
  return epoch;
}

Result<void> WriterStage::recover() {
  bool begun = run_.counts.in > 0 || run_.sources_done > 0;
  if (auto started = sink_.start(ledger_.view(), begun); !started) return started;
  if (dead_letters_) {
    auto known = LEAT_TRY(ledger_.view().dead_letters());
    if (auto started = dead_letters_->start(known, whole_before_); !started) return started;
    if (std::string note = dead_letters_->take_note(); !note.empty()) on_warning_(note);
  }
  if (std::string note = ledger_.take_note(); !note.empty()) on_warning_(note);
  for (const std::string& note : sink_.take_notes()) on_warning_(note);
  // The second one: what the first one has published.
  auto committed = commit();
  return committed ? commit() : committed;
}

Result<void> WriterStage::apply(const proto::Batch& batch) {
  if (batch.header().kind == proto::BatchKind::kRecords) return apply_records(batch);
  auto event = LEAT_TRY(proto::decode_source_event(batch.header().kind, batch.records()));
  return std::visit([&](const auto& what) { return on(batch.header(), what); }, event);
}

Result<void> WriterStage::apply_records(const proto::Batch& batch) {
  auto source = LEAT_TRY(sources_.apply(batch.header()));
  if (auto applied = apply_rejects(batch, source->path); !applied) return applied;
  return batch.records().empty() ? Result<void>{} : sink_.write(batch.header().source, batch.records());
}

Result<void> WriterStage::apply_rejects(const proto::Batch& batch, const std::string& path) {
  if (batch.rejects().empty()) return {};
  const proto::Header& header = batch.header();
  Result<void> result;
  std::uint64_t by_reference = 0;
  auto decoded = proto::decode_rejects(batch.rejects(), [&](const proto::Reject& reject) {
    DeadLetter letter;
    letter.source = path;
    letter.line = header.first_line + reject.origin.line_delta;
    letter.offset = header.first_offset + reject.origin.offset_delta;
    letter.stage = proto::to_string(reject.stage);
    letter.reason = reject.reason;
    letter.attempts = reject.attempts;
    letter.length = reject.record_bytes;
    if (!reject.by_reference) letter.record = reject.record;
    if (reject.by_reference || !dead_letters_) ++by_reference;
    if (!dead_letters_) return report_loss(letter);
    if (result) result = dead_letters_->append(letter);
  });
  sources_.add_by_reference(header.source, by_reference);
  if (by_reference > 0 && !pipeline_.source.after.empty()) report_staying(path);
  return decoded ? result : decoded;
}

void WriterStage::report_loss(const DeadLetter& letter) {
  if (std::exchange(reported_loss_, true)) return;
  on_warning_(
      fmt::format("{}:{}: rejected by the {}: {}. Set dead_letter.path to keep such records; without it "
                  "they are only counted (said once)",
                  letter.source, letter.line, letter.stage, letter.reason));
}

void WriterStage::report_staying(const std::string& path) {
  if (std::exchange(reported_staying_, true)) return;
  on_warning_(fmt::format(
      "{} stays where it is, whatever source.after says: a record that was rejected is kept nowhere else{} "
      "(said once)",
      path, dead_letters_ ? " (it is longer than source.max_record)" : "; set dead_letter.path"));
}

Result<void> WriterStage::on(const proto::Header& header, const proto::SourceOpened& event) {
  // Of a source that was open before, the ledger must know what has become of it and of its output.
  if (sources_.ended_unreported(header.source)) {
    if (auto committed = commit(); !committed) return committed;
  }
  auto source = LEAT_TRY(sources_.open(header, event));
  bool from_start = source->place.offset == 0 && !source->after_done;
  return sink_.source_opened(header.source, source->path, from_start);
}

Result<void> WriterStage::on(const proto::Header& header, const proto::SourceEnded& event) {
  auto ended = sources_.end(header, event);
  return ended ? sink_.source_ended(header.source) : tl::unexpected(ended.error());
}

Result<void> WriterStage::on(const proto::Header& header, const proto::SourceFailed& event) {
  warn_of(event.path, event.reason);
  LEAT_TRY(sources_.fail_at(header, event));
  return event.retry ? sink_.source_suspended(header.source) : sink_.source_ended(header.source);
}

Result<void> WriterStage::on(const proto::Header& header, const proto::SourceChanged& event) {
  warn_of(event.path, event.reason);
  auto changed = sources_.change(header, event);
  return changed ? sink_.source_ended(header.source) : tl::unexpected(changed.error());
}

Result<void> WriterStage::on(const proto::Header& header, const proto::SourceMoved& event) {
  return sources_.move(header, event);
}

Result<void> WriterStage::on(const proto::Header& header, const proto::SourceFinished& event) {
  if (!event.reason.empty()) warn_of(event.path, event.reason);
  return sources_.finish(header, event);
}

Result<void> WriterStage::on(const proto::Header& /*header*/, const proto::SourcesScanned& part) {
  presence_.absent.insert(presence_.absent.end(), part.absent.begin(), part.absent.end());
  presence_.present.insert(presence_.present.end(), part.present.begin(), part.present.end());
  presence_.whole |= part.whole;
  presence_.believed |= part.believed;
  return {};
}

Result<void> WriterStage::on(const proto::Header& /*header*/, const proto::InputRead& /*event*/) {
  return publish_all();
}

Result<void> WriterStage::on(const proto::Header& /*header*/, const proto::EndOfInput& event) {
  summary_.stopped = event.stopped;
  summary_.sources.done_before = event.done > done_at_begin_ ? event.done - done_at_begin_ : 0;
  ended_ = true;
  return {};
}

void WriterStage::warn_of(const std::string& path, const std::string& reason) {
  bool named = reason.find(path) != std::string::npos;
  on_warning_(named ? reason : fmt::format("{}: {}", path, reason));
}

bool WriterStage::pending() const {
  return sources_.pending() || sink_.pending() || !presence_.empty() || run_changed_ ||
         (dead_letters_ && dead_letters_->pending());
}

bool WriterStage::commit_due() const {
  // The reader waits for the end of a presence scan, see IoThread::scan_presence().
  bool presence_due = presence_.whole || presence_.size() >= kMaxScanned;
  return presence_due || input_read_ || sink_.crowded() || sources_.crowded() ||
         sink_.uncommitted_bytes() >= pipeline_.limits.commit_bytes;
}

// The second commit tells the ledger what the first one has published.
Result<void> WriterStage::publish_all() {
  auto done = sink_.finish();
  if (done) done = commit();
  if (done) done = commit();
  input_read_ = true;  // the reader waits to hear of it
  return done;
}

Result<void> WriterStage::commit() {
  input_read_ = false;
  if (!pending()) return {};
  ledger::Commit commit;
  commit.epoch = run_.epoch;
  if (auto prepared = sink_.prepare(commit); !prepared) return prepared;
  for (ledger::Output* output : commit.outputs) output->run = run_.id;
  if (dead_letters_) {
    if (auto synced = dead_letters_->commit(); !synced) return synced;
    commit.dead_letters = dead_letters_->file();
  }
  sources_.prepare(commit);
  commit.presence = presence_;
  commit.run = run_;
  if (auto committed = ledger_.commit(commit); !committed) return committed;
  ++commits_;
  sources_.committed();
  if (std::exchange(presence_, {}).whole) {
    LEAT_TRY(ledger_.prune());
  }
  if (dead_letters_) dead_letters_->committed();
  run_changed_ = false;
  auto named = sink_.committed();
  collect_published();
  return named;
}

Result<void> WriterStage::finish() {
  if (summary_.stopped || options_.follow) {
    // While following, its records are wanted after a stop; a plain run continues with it.
    if (auto finished = options_.follow ? sink_.finish_numbered() : Result<void>{}; !finished)
      return finished;
  } else if (auto finished = sink_.finish(); !finished) {
    return finished;
  }
  if (auto committed = commit(); !committed) return committed;
  if (auto checked = check_sums(); !checked) return checked;
  if (auto reported = report_missing(); !reported) return reported;
  run_.ended_s = static_cast<std::int64_t>(std::time(nullptr));
  run_changed_ = true;
  return commit();
}

Result<void> WriterStage::check_sums() {
  auto totals = LEAT_TRY(ledger_.view().totals());
  summary_.sources.last_done_s = totals.last_done_s;
  if (totals.counts.adds_up() && run_.counts.adds_up()) return {};
  return fail(Fault::kFatal,
              fmt::format("the ledger does not add up: in {} kept {} dropped {} dead {}", totals.counts.in,
                          totals.counts.kept, totals.counts.dropped, totals.counts.dead),
              kExitBug);
}

// Nothing to do is no news, unless what was done is not there any more.
Result<void> WriterStage::report_missing() {
  if (summary_.stopped || options_.follow || run_.sources_done > 0) return {};
  auto gone = LEAT_TRY(sink_.missing_output());
  if (!gone.empty()) {
    on_warning_(
        fmt::format("nothing to do, and the output {} is gone: --fresh --force makes it again", gone));
  }
  return {};
}

// What earlier epochs of this run have published.
Result<void> WriterStage::recall_published() {
  summary_.outputs.clear();
  summary_.outputs_count = 0;
  summary_.outputs_empty = 0;
  auto rows = LEAT_TRY(ledger_.view().outputs_of_run(run_.id));
  for (const ledger::Output& row : rows) {
    if (row.state == ledger::OutputState::kPublished) list({row.target, row.length, row.record_bytes});
  }
  return {};
}

void WriterStage::collect_published() {
  for (Published& published : sink_.take_published())
    list({std::move(published.path), published.disk_bytes, published.record_bytes});
}

void WriterStage::list(proto::RunSummary::Output output) {
  if (output.records_bytes == 0) ++summary_.outputs_empty;
  if (summary_.outputs_count++ < proto::kOutputsListed) summary_.outputs.push_back(std::move(output));
}

Result<std::string> WriterStage::summary_json() {
  const ledger::Counts& counts = run_.counts;
  summary_.resumed = sources_.resumed();
  summary_.in = counts.in;
  summary_.kept = counts.kept;
  summary_.dropped = counts.dropped;
  summary_.dead = counts.dead;
  summary_.out = counts.out;
  summary_.out_bytes = counts.out_bytes;
  const std::string& dead_letters = pipeline_.dead_letter_path;
  summary_.dead_letter = {dead_letters, dead_letters.empty() ? 0 : counts.dead};
  auto& sources = summary_.sources;
  sources.done = run_.sources_done;
  sources.failed_count = run_.sources_failed;
  sources.changed_count = run_.sources_changed;
  sources.failed.clear();
  sources.changed.clear();
  if (run_.sources_failed + run_.sources_changed == 0) return encode_fields(summary_);
  for (ledger::Source& source : LEAT_TRY(ledger_.view().open_sources())) {
    const bool failed = source.state == ledger::SourceState::kFailed;
    if (source.run != run_.id || (!failed && source.state != ledger::SourceState::kChanged)) continue;
    auto& list = failed ? sources.failed : sources.changed;
    if (list.size() < proto::kProblemsListed)
      list.push_back({std::move(source.path), source.place.offset, std::move(source.reason)});
  }
  return encode_fields(summary_);
}

}  // namespace leat::writer
