// leat-reader: turns files on the NAS into numbered batches.
//
// Reads   files that match source.paths; the ledger, for where to go on; accepted and committed positions from the
//         writer; credits from the filters
// Writes  batches to the filters; nothing to disk, but that source.after moves or deletes what is done
// Never   writes to a source, or believes an empty mount
// Fails   no file matches: exits 66. NAS away: waits, gives up after source.give_up: exits 74.
// Gaps    a file replaced between two looks by one of the same size, mtime and head is not noticed; nor is a byte that
//         was edited in what was read, but for the first 64 KiB of the file and the last 64 KiB read, of a file that
//         grew as well

#include <fmt/format.h>
#include <rapidjson/stringbuffer.h>
#include <rapidjson/writer.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "config/budget.h"
#include "config/parse.h"
#include "proto/flow.h"
#include "workers/reader/batches.h"
#include "workers/reader/commits.h"
#include "workers/reader/known.h"
#include "workers/reader/listing.h"
#include "workers/reader/pace.h"
#include "workers/reader/read_ahead.h"
#include "workers/reader/sandbox.h"
#include "workers/reader/window.h"
#include "workers/stage/outlet.h"
#include "workers/stage/test_hook.h"
#include "workers/stage/worker.h"

namespace {

using leat::proto::Batch;
using leat::stage::Activity;
using leat::stage::add;
using leat::stage::Worker;
using std::chrono::milliseconds;

constexpr int kAcceptedHighWaterMark = 1024;
constexpr milliseconds kLook{500};  // how often the page tells what the I/O thread is at
constexpr int kLongCall = 3;        // seconds in one system call that are worth a person's attention
constexpr std::size_t kReadAheadBatches = 4;
constexpr std::size_t kPathsRemembered = 256;  // more than a window has sources

void put_text(rapidjson::Writer<rapidjson::StringBuffer>& json, const char* key, const std::string& text) {
  json.Key(key);
  json.String(text.data(), static_cast<rapidjson::SizeType>(text.size()));
}

// {"files": [{"path", "bytes"}], "skipped": [{"path", "reason"}]}: what `leat explain` shows of this stage.
int list(const std::string& file) {
  auto parsed = leat::config::load_pipeline(file);
  if (!parsed.problems.empty()) {
    throw leat::stage::Fatal(
        {leat::Fault::kFatal, leat::config::to_string(parsed.problems.front()), leat::kExitConfig});
  }
  auto listing = leat::reader::list_files(parsed.pipeline.source.paths);
  rapidjson::StringBuffer buffer;
  rapidjson::Writer<rapidjson::StringBuffer> json(buffer);
  json.StartObject();
  json.Key("files");
  json.StartArray();
  for (const auto& found : listing.files) {
    json.StartObject();
    put_text(json, "path", found.path);
    json.Key("bytes");
    json.Uint64(found.size);
    json.EndObject();
  }
  json.EndArray();
  json.Key("skipped");
  json.StartArray();
  for (const auto& skipped : listing.skipped) {
    json.StartObject();
    put_text(json, "path", skipped.path);
    put_text(json, "reason", skipped.reason);
    json.EndObject();
  }
  json.EndArray();
  json.EndObject();
  std::printf("%s\n", buffer.GetString());
  return leat::kExitOk;
}

std::string no_match_text(const leat::config::Source& source, const leat::reader::Listed& listed) {
  std::string text = "no file matches source.paths:";
  for (const auto& glob : source.paths) text += " " + glob;
  constexpr std::size_t kNamed = 3;
  for (std::size_t i = 0; i < std::min(listed.skipped.size(), kNamed); ++i)
    text += fmt::format("; skipped {}: {}", listed.skipped[i].path, listed.skipped[i].reason);
  if (listed.skipped.size() > kNamed)
    text += fmt::format("; {} more skipped (leat explain lists them)", listed.skipped.size() - kNamed);
  return text;
}

// What a person can do about a source that has changed. again: its output can take it again.
std::string remedy(const Worker& worker, bool again) {
  const auto& welcome = worker.welcome();
  if (welcome.daemon) return "Under another name it is read from its start";
  if (again) {
    return fmt::format("`leat run {} --reread {{path}}` reads it again from its start",
                       welcome.pipeline_file);
  }
  return fmt::format("`leat run {} --fresh --force` makes {} anew from all sources", welcome.pipeline_file,
                     worker.pipeline().sink.path);
}

// What the ledger says of earlier runs, and of this one before the reader died.
std::shared_ptr<leat::reader::Known> load_known(const Worker& worker) {
  const auto& pipeline = worker.pipeline();
  const std::string& path = pipeline.sink.path;
  if (worker.welcome().volatile_state && !pipeline.source.after.empty()) {
    throw leat::stage::Fatal({leat::Fault::kFatal,
                              fmt::format("source.after is for sources whose records are safe in a file, and "
                                          "sink.path {} is a pipe or a device: remove source.after",
                                          path),
                              leat::kExitConfig});
  }
  const auto holds = [&path](std::string_view name) { return path.find(name) != std::string::npos; };
  leat::reader::Known::Options options;
  options.growing = pipeline.source.growing;
  options.follow = worker.welcome().follow;
  options.one_output_each = (holds("{stem}") || holds("{path}")) && !holds("{n}");
  options.numbered = holds("{n}");
  options.remedy = remedy(worker, holds("{stem}") || holds("{path}") || options.numbered);
  auto records = leat::stage::value_or_fatal(leat::reader::open_records(worker.welcome().state));
  return std::make_shared<leat::reader::Known>(
      leat::stage::value_or_fatal(leat::reader::Known::load(std::move(records), options)));
}

leat::reader::ReadAhead::Options read_ahead_options(const Worker& worker, std::size_t first_target) {
  leat::reader::ReadAhead::Options options;
  const auto& pipeline = worker.pipeline();
  options.source = pipeline.source;
  options.zstd_window_bytes = pipeline.limits.zstd_window_bytes;
  options.headroom = leat::proto::kHeaderBytes;
  options.target_bytes = first_target;
  options.queue_bytes = kReadAheadBatches * pipeline.limits.batch_bytes;
  options.follow = worker.welcome().follow;
  options.day = leat::stage::day();
  options.known = load_known(worker);
  options.outputs = {pipeline.sink.path, pipeline.dead_letter_path};
  return options;
}

// The application thread: takes batches from the read-ahead thread, numbers them and deals them, within the
// window.
class Reader {
 public:
  explicit Reader(Worker& worker)
      : worker_(worker),
        pace_(worker.pipeline().limits.batch_bytes),
        growth_(worker.pipeline().limits.batch_bytes, leat::config::max_result_bytes(worker.pipeline())),
        window_(worker.welcome().window_bytes, worker.welcome().window_batches),
        batches_(worker.pipeline_id(), worker.welcome().epoch, worker.pipeline().source.max_record_bytes),
        accepted_(worker.context(), leat::proto::SocketKind::kPull, kAcceptedHighWaterMark),
        outlet_(worker, [this](const leat::proto::Credit& credit) { take(credit); }),
        ahead_(read_ahead_options(worker, target_bytes())) {
    accepted_.bind(worker.welcome().accepted);
    worker.on_news([this](const leat::proto::Control& news) { heed(news); });
  }

  void run() {
    leat::proto::Poller poller;
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
        worker_.look_now_and_then();
        continue;
      }
      hear();
      outlet_.collect();
      if (may_resend() || may_send()) continue;
      worker_.page().enter(next_ ? Activity::kBlocked : Activity::kIdle);
      poller.watch(ahead_index, !next_ && !ended_);
      poller.wait(kLook);
      show();
      worker_.look_for_stop();
    }
  }

 private:
  // What has come back: how far the writer is, and with it what a record takes.
  void hear() {
    while (auto message = accepted_.try_receive()) {
      auto accepted = leat::proto::decode_accepted(message->view());
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

  // Workers come and go, and with them batches; and records that kill are taken out of theirs.
  void heed(const leat::proto::Control& news) {
    if (const auto* pool = std::get_if<leat::proto::Pool>(&news)) outlet_.change(*pool);
    if (const auto* again = std::get_if<leat::proto::Again>(&news)) {
      leat::Buffer::reclaim(again->instance);
      window_.again(again->instance);
    }
    if (const auto* pause = std::get_if<leat::proto::Pause>(&news)) paused_ = pause->on;
    if (const auto* size = std::get_if<leat::proto::WindowSize>(&news)) {
      window_.resize(size->bytes, size->batches);
    }
    if (const auto* hopeless = std::get_if<leat::proto::GiveUp>(&news))
      give_up(window_.oldest(), hopeless->text);
    if (const auto* verdict = std::get_if<leat::proto::Verdict>(&news)) {
      verdicts_.push_back(*verdict);
      window_.condemn(*verdict);
    }
  }

  std::size_t target_bytes() const { return std::min(pace_.target_bytes(), growth_.input_bytes()); }

  void take(const leat::proto::Credit& credit) {
    window_.credit(credit);
    if (const Batch* batch = window_.hopeless()) give_up(batch, "a batch is refused again and again");
  }

  [[noreturn]] void give_up(const Batch* batch, const std::string& why) const {
    std::string at = "nothing is under way";
    if (batch != nullptr) {
      const auto& header = batch->header();
      auto path = paths_.find(header.source);
      at = fmt::format("at batch {}, {} line {} to {}, {} bytes", header.sequence,
                       path == paths_.end() ? fmt::format("source {}", header.source) : path->second,
                       header.first_line, header.end_line, header.records_bytes);
    }
    throw leat::stage::Fatal(
        {leat::Fault::kFatal,
         fmt::format("{}, {}. This is a bug of leat; nothing is lost, run again to continue", why, at),
         leat::kExitBug});
  }

  bool may_resend() { return window_.wants_resend() && outlet_.has_room(); }

  void resend() {
    worker_.page().enter(Activity::kBusy);
    if (auto to = outlet_.send(window_.next_resend(growth_))) window_.resent(*to);
  }

  bool may_send() {
    if (!next_ || (paused_ && !ended_)) return false;
    grant();
    return window_.has_room(next_->header()) && outlet_.has_room() && window_.has_time(pace_.record_us());
  }

  // What the next batch may become, as far as is known now.
  void grant() {
    leat::proto::Header header = next_->header();
    if (header.kind != leat::proto::BatchKind::kRecords) return;
    const bool single = header.end_line <= header.first_line;
    const std::uint32_t grant = growth_.grant_for(header.records_bytes, single);
    if (grant == header.grant) return;
    header.grant = grant;
    next_ = std::move(*next_).reseal(header);
  }

  void fetch() {
    next_ = batches_.next(target_bytes(), pace_.target_lines());
    while (!next_ && !ended_) {
      auto event = ahead_.try_pop();
      if (!event) return;
      worker_.page().enter(Activity::kBusy);
      if (auto* listed = std::get_if<leat::reader::Listed>(&*event)) {
        take(*listed);
      } else if (auto* end = std::get_if<leat::reader::End>(&*event)) {
        if (end->error) throw leat::stage::Fatal(*end->error);
        done_ = end->done;
        finish(end->stopped);
      } else if (auto* note = std::get_if<leat::reader::Note>(&*event)) {
        worker_.warn(note->text);
      } else {
        count(*event);
        batches_.take(*std::move(event));
        next_ = batches_.next(target_bytes(), pace_.target_lines());
      }
    }
  }

  void take(const leat::reader::Listed& listed) {
    done_ = listed.done;
    bool nothing = listed.files == 0 && listed.done == 0 && !listed.output_left;
    if (nothing && !worker_.welcome().follow) {
      throw leat::stage::Fatal(
          {leat::Fault::kFatal, no_match_text(worker_.pipeline().source, listed), leat::kExitNoInput});
    }
    for (const auto& skipped : listed.skipped)
      worker_.warn(fmt::format("skipped {}: {}", skipped.path, skipped.reason));
    worker_.page()->sources_total = listed.files;
    worker_.page()->total_disk_bytes = listed.bytes;
    worker_.ready(
        fmt::format(R"({{"files":{},"done":{},"bytes":{}}})", listed.files, listed.done, listed.bytes));
  }

  void count(const leat::reader::Event& event) {
    auto& page = *worker_.page();
    if (auto* opened = std::get_if<leat::reader::SourceOpened>(&event)) {
      if (paths_.size() >= kPathsRemembered) paths_.erase(paths_.begin());
      paths_[opened->id] = opened->file.path;
      worker_.page().set_text("reading " + opened->file.path);
    } else if (std::holds_alternative<leat::reader::SourceEnded>(event)) {
      add(page.sources_done, 1);
    } else if (std::holds_alternative<leat::reader::SourceFailed>(event)) {
      add(page.sources_failed, 1);
    }
  }

  void send() {
    worker_.page().enter(Activity::kBusy);
    auto& page = *worker_.page();
    leat::proto::Header header = next_->header();
    header.sequence = ++sequence_;
    commits_.sent(header);
    Batch batch = std::move(*next_).reseal(header);
    next_.reset();
    for (const auto& verdict : verdicts_) {
      if (auto changed = leat::reader::without_record(batch, verdict)) batch = *std::move(changed);
    }
    page.sequence = header.sequence;
    page.source = header.source;
    if (page.troubled != 0) show();
    hook_.look_at(batch.records());
    if (header.kind == leat::proto::BatchKind::kRecords) add(page.bytes_in, header.records_bytes);
    page.disk_bytes = ahead_.status().consumed_bytes;
    auto to = outlet_.send(batch);
    if (!to) return;
    window_.sent(std::move(batch), *to);
    page.window_batches = window_.batches();
    book_accepted();
  }

  // What has gone out of the reader for good is what the writer has accepted: progress is counted by it.
  void book_accepted() {
    auto& page = *worker_.page();
    page.bytes_out = page.bytes_in - std::min<std::uint64_t>(page.bytes_in, window_.input_bytes());
  }

  // What was sent is let go.
  void wait_to_leave() {
    ahead_.request_stop();
    worker_.page().set_text("stopped before the end of input");
    worker_.wait_to_leave();
  }

  // Asked to take in nothing new: what has been sent is finished, the rest is for the next run.
  void stop() {
    ahead_.request_stop();
    finish(true);
  }

  void finish(bool stopped) {
    next_ = batches_.end_of_input(stopped, done_);
    ended_ = true;
    worker_.page().set_text(stopped ? "stopped before the end of the input" : "at the end of the input");
  }

  // What is the I/O thread at? Looked at now and then while there is little to do, and until a trouble has passed.
  void show() {
    using Doing = leat::reader::ReadAhead::Doing;
    auto now = std::chrono::steady_clock::now();
    if (ended_ || now - shown_ < kLook) return;
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
    bool troubled = true;
    if (!status.trouble.empty()) {
      worker_.page().set_text(fmt::format("{} s: {}", seconds_since(status.trouble_since), status.trouble));
    } else if (!call.empty() && seconds > 0) {
      troubled = seconds >= kLongCall;
      worker_.page().set_text(
          fmt::format("{} s in {} of {}", seconds, call, status.path.empty() ? "source.paths" : status.path));
    } else {
      troubled = false;
      worker_.page().set_text(status.doing == Doing::kPolling ? "waiting for new files"
                              : status.path.empty()           ? ""
                                                              : "reading " + status.path);
    }
    worker_.page()->troubled = troubled ? 1 : 0;
  }

  Worker& worker_;
  leat::reader::Pace pace_;
  leat::reader::Growth growth_;
  leat::reader::Window window_;
  leat::reader::Batches batches_;
  leat::proto::Socket accepted_;
  leat::stage::Outlet outlet_;
  leat::reader::ReadAhead ahead_;
  leat::reader::Commits commits_;
  std::optional<Batch> next_;                   // to be sent, without a sequence number
  std::map<std::uint64_t, std::string> paths_;  // of the sources that were opened last
  std::vector<leat::proto::Verdict> verdicts_;
  leat::stage::TestHook hook_{leat::proto::Stage::kReader};
  std::uint64_t sequence_ = 0;
  std::uint64_t done_ = 0;  // sources that match and were done before
  bool ended_ = false;
  std::chrono::steady_clock::time_point shown_{};
  bool paused_ = false;  // nothing new is sent, but the end
};

void work(Worker& worker) {
  Reader(worker).run();
}

}  // namespace

int main(int argc, char** argv) {
  return leat::stage::run_worker({leat::proto::Stage::kReader, list, leat::reader::sandbox, work}, argc,
                                 argv);
}
