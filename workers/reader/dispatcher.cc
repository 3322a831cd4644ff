#include "workers/reader/dispatcher.h"

#include <fmt/format.h>

#include <algorithm>
#include <string_view>
#include <utility>
#include <variant>

#include "config/budget.h"
#include "workers/reader/options.h"

namespace leat::reader {

namespace {

using proto::Batch;
using stage::Activity;
using stage::add;
using std::chrono::milliseconds;

constexpr int kAcceptedHighWaterMark = 1024;
constexpr milliseconds kShowInterval{500};  // how often the page tells the activity of the I/O thread
constexpr int kLongCall = 3;                // seconds in one system call that are worth a person's attention
constexpr std::size_t kPathsRemembered = 256;  // more than a window has sources

std::string no_match_text(const config::Source& source, const Listed& listed) {
  std::string text = "no file matches source.paths:";
  for (const auto& glob : source.paths) text += " " + glob;
  constexpr std::size_t kNamed = 3;
  for (std::size_t i = 0; i < std::min(listed.skipped.size(), kNamed); ++i)
    text += fmt::format("; skipped {}: {}", listed.skipped[i].path, listed.skipped[i].reason);
  if (listed.skipped.size() > kNamed)
    text += fmt::format("; {} more skipped (leat explain lists them)", listed.skipped.size() - kNamed);
  return text;
}

}  // namespace

Dispatcher::Dispatcher(stage::Worker& worker)
    : worker_(worker),
      pace_(worker.pipeline().limits.batch_bytes),
      growth_(worker.pipeline().limits.batch_bytes, config::max_result_bytes(worker.pipeline())),
      window_(worker.welcome().reader->window_bytes, worker.welcome().reader->window_batches,
              *worker.payloads()),
      batches_(worker.pipeline_id(), worker.welcome().epoch, worker.pipeline().source.max_record_bytes,
               *worker.payloads()),
      accepted_(worker.context(), proto::SocketKind::kPull, kAcceptedHighWaterMark),
      outlet_(worker, [this](const proto::Credit& credit) { take(credit); }),
      ahead_(read_ahead_options(worker, target_bytes())) {
  accepted_.bind(worker.welcome().reader->accepted);
  worker.on_control([this](const proto::Control& control) { handle_control(control); });
}

void Dispatcher::run() {
  proto::Poller poller;
  poller.add(accepted_);
  outlet_.add_to(poller);
  worker_.add_to(poller);
  std::size_t ahead_index = poller.add(ahead_.fd());
  while (!worker_.leaving()) {
    if (worker_.finishing()) return wait_to_leave();
    if (worker_.draining() && !ended_) stop();
    if (!next_ && !ended_) fetch();
    if (may_resend() || may_send()) {
      may_resend() ? resend() : send();
      worker_.poll_control_at_times();
      continue;
    }
    drain_acks();
    outlet_.collect();
    if (may_resend() || may_send()) continue;
    worker_.page().enter(next_ ? Activity::kBlocked : Activity::kIdle);
    poller.watch(ahead_index, !next_ && !ended_);
    poller.wait(kShowInterval);
    show();
    worker_.poll_control();
  }
}

// What has come back: how far the writer is, and with it what a record takes.
void Dispatcher::drain_acks() {
  while (auto message = accepted_.try_receive()) {
    auto accepted = proto::decode_accepted(message->view());
    if (!accepted || accepted->epoch != worker_.welcome().epoch) continue;
    commits_.committed(accepted->committed, [this](std::uint64_t source) { ahead_.committed(source); });
    window_.accepted(*accepted);
    worker_.page()->window_batches = window_.batches();
    book_accepted();
    if (accepted->growth > 0) growth_.learn(accepted->growth);
    if (accepted->records == 0 || accepted->input_bytes == 0) continue;
    double records = accepted->records;
    pace_.learn(std::max(static_cast<double>(accepted->process_us), outlet_.record_us() * records), records,
                static_cast<double>(accepted->input_bytes) / records);
    ahead_.set_target(target_bytes());
  }
}

// Workers come and go, and with them batches; and records that kill are removed from theirs.
void Dispatcher::handle_control(const proto::Control& control) {
  outlet_.handle_control(control);
  if (const auto* resend = std::get_if<proto::Resend>(&control)) {
    worker_.payloads()->reclaim(resend->instance);
    window_.resend(resend->instance);
  }
  if (const auto* pause = std::get_if<proto::Pause>(&control)) paused_ = pause->on;
  if (const auto* size = std::get_if<proto::WindowSize>(&control)) {
    window_.resize(size->bytes, size->batches);
  }
  if (const auto* hopeless = std::get_if<proto::GiveUp>(&control)) give_up(window_.oldest(), hopeless->text);
  if (const auto* record = std::get_if<proto::Quarantine>(&control)) {
    quarantined_.push_back(*record);
    window_.quarantine(*record);
  }
}

void Dispatcher::take(const proto::Credit& credit) {
  window_.credit(credit);
  if (const Batch* batch = window_.hopeless()) give_up(batch, "a batch is refused again and again");
}

void Dispatcher::give_up(const Batch* batch, const std::string& why) const {
  std::string at = "nothing is under way";
  if (batch != nullptr) {
    const auto& header = batch->header();
    auto path = paths_.find(header.source);
    at = fmt::format("at batch {}, {} line {} to {}, {} bytes", header.sequence,
                     path == paths_.end() ? fmt::format("source {}", header.source) : path->second,
                     header.first_line, header.end_line, header.records_bytes);
  }
  throw stage::Fatal(
      {Fault::kFatal,
       fmt::format("{}, {}. This is a bug of leat; nothing is lost, run again to continue", why, at),
       kExitBug});
}

void Dispatcher::resend() {
  worker_.page().enter(Activity::kBusy);
  if (auto to = outlet_.send(window_.next_resend(growth_))) window_.resent(*to);
}

bool Dispatcher::may_send() {
  if (!next_ || (paused_ && !ended_)) return false;
  grant();
  return window_.has_room(next_->header()) && outlet_.has_room() && window_.has_time(pace_.record_us());
}

// What the next batch may become, as far as is known now.
void Dispatcher::grant() {
  proto::Header header = next_->header();
  if (header.kind != proto::BatchKind::kRecords) return;
  const bool single = header.end_line <= header.first_line;
  const std::uint32_t grant = growth_.grant_for(header.records_bytes, single);
  if (grant == header.grant) return;
  header.grant = grant;
  next_ = std::move(*next_).reseal(header);
}

void Dispatcher::fetch() {
  next_ = batches_.next(target_bytes(), pace_.target_lines());
  while (!next_ && !ended_) {
    auto event = ahead_.try_pop();
    if (!event) return;
    worker_.page().enter(Activity::kBusy);
    if (auto* listed = std::get_if<Listed>(&*event)) {
      take(*listed);
    } else if (auto* end = std::get_if<End>(&*event)) {
      if (end->error) throw stage::Fatal(*end->error);
      done_ = end->done;
      finish(end->stopped);
    } else if (auto* note = std::get_if<Note>(&*event)) {
      worker_.warn(note->text);
    } else {
      count(*event);
      batches_.take(*std::move(event));
      next_ = batches_.next(target_bytes(), pace_.target_lines());
    }
  }
}

void Dispatcher::take(const Listed& listed) {
  done_ = listed.done;
  bool nothing = listed.files == 0 && listed.done == 0 && !listed.output_left;
  if (nothing && !worker_.briefing().follow) {
    throw stage::Fatal({Fault::kFatal, no_match_text(worker_.pipeline().source, listed), kExitNoInput});
  }
  for (const auto& skipped : listed.skipped)
    worker_.warn(fmt::format("skipped {}: {}", skipped.path, skipped.reason));
  worker_.page()->sources_total = listed.files;
  worker_.page()->total_disk_bytes = listed.bytes;
  worker_.ready(
      fmt::format(R"({{"files":{},"done":{},"bytes":{}}})", listed.files, listed.done, listed.bytes));
}

void Dispatcher::count(const Event& event) {
  auto& page = *worker_.page();
  if (auto* opened = std::get_if<SourceOpened>(&event)) {
    if (paths_.size() >= kPathsRemembered) paths_.erase(paths_.begin());
    paths_[opened->id] = opened->file.path;
    worker_.page().set_text("reading " + opened->file.path);
  } else if (std::holds_alternative<SourceEnded>(event)) {
    add(page.sources_done, 1);
  } else if (std::holds_alternative<SourceFailed>(event)) {
    add(page.sources_failed, 1);
  }
}

void Dispatcher::send() {
  worker_.page().enter(Activity::kBusy);
  auto& page = *worker_.page();
  proto::Header header = next_->header();
  header.sequence = ++sequence_;
  commits_.sent(header);
  Batch batch = std::move(*next_).reseal(header);
  next_.reset();
  for (const auto& record : quarantined_) {
    if (auto changed = without_record(batch, record, *worker_.payloads())) batch = *std::move(changed);
  }
  page.sequence = header.sequence;
  page.source = header.source;
  if (page.failing != 0) show();
  hook_.on_record(batch.records());
  if (header.kind == proto::BatchKind::kRecords) add(page.bytes_in, header.records_bytes);
  page.disk_bytes = ahead_.status().consumed_bytes;
  auto to = outlet_.send(batch);
  if (!to) return;
  window_.sent(std::move(batch), *to);
  page.window_batches = window_.batches();
  book_accepted();
}

// What has gone out of the reader for good is what the writer has accepted: progress is counted by it.
void Dispatcher::book_accepted() {
  auto& page = *worker_.page();
  page.bytes_out = page.bytes_in - std::min<std::uint64_t>(page.bytes_in, window_.input_bytes());
}

// What was sent is let go.
void Dispatcher::wait_to_leave() {
  ahead_.request_stop();
  worker_.page().set_text("stopped before the end of input");
  worker_.wait_to_leave();
}

// Asked to take in nothing new: what has been sent is finished, the rest is for the next run.
void Dispatcher::stop() {
  ahead_.request_stop();
  finish(true);
}

void Dispatcher::finish(bool stopped) {
  next_ = batches_.end_of_input(stopped, done_);
  ended_ = true;
  worker_.page().set_text(stopped ? "stopped before the end of the input" : "at the end of the input");
}

// The activity of the I/O thread. Looked at now and then while there is little to do, and until a fault has passed.
void Dispatcher::show() {
  using Doing = ReadAhead::Doing;
  auto now = std::chrono::steady_clock::now();
  if (ended_ || now - shown_ < kShowInterval) return;
  shown_ = now;
  auto status = ahead_.status();
  auto seconds_since = [now](auto then) {
    return std::chrono::duration_cast<std::chrono::seconds>(now - then).count();
  };
  auto seconds = seconds_since(status.since);
  std::string call = status.doing == Doing::kReading   ? "read()"
                     : status.doing == Doing::kOpening ? "open()"
                     : status.doing == Doing::kListing ? "listing"
                                                       : "";
  bool failing = true;
  if (!status.fault.empty()) {
    worker_.page().set_text(fmt::format("{} s: {}", seconds_since(status.fault_since), status.fault));
  } else if (!call.empty() && seconds > 0) {
    failing = seconds >= kLongCall;
    worker_.page().set_text(
        fmt::format("{} s in {} of {}", seconds, call, status.path.empty() ? "source.paths" : status.path));
  } else {
    failing = false;
    worker_.page().set_text(status.doing == Doing::kPolling ? "waiting for new files"
                            : status.path.empty()           ? ""
                                                            : "reading " + status.path);
  }
  worker_.page()->failing = failing ? 1 : 0;
}

}  // namespace leat::reader
