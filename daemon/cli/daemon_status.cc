// What is wrong comes first, in words; numbers are for those who read on. The events that led to it are shown only then.
#include "daemon/cli/daemon_status.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <ctime>

#include "proto/base/human.h"
#include "proto/base/text.h"

namespace leat::cli {

namespace {

constexpr std::size_t kBarCells = 10;
constexpr std::size_t kEventsShown = 5;
constexpr double kLong = 2;  // seconds at one thing that make it worth a line

using proto::PipelineStatus;
using proto::WorkerStatus;

// "0.3 s", "42 s", "12 min", "3 h 12 min", "5 d 3 h".
std::string span(double seconds) {
  if (seconds < 9.95) return fmt::format("{:.1f} s", std::max(seconds, 0.0));
  auto whole = static_cast<std::uint64_t>(std::min(seconds, 3.2e9));
  if (whole < 120) return fmt::format("{} s", whole);
  if (whole < 7200) return fmt::format("{} min", whole / 60);
  if (whole < 48 * 3600) return fmt::format("{} h {} min", whole / 3600, whole / 60 % 60);
  return fmt::format("{} d {} h", whole / 86400, whole / 3600 % 24);
}

// "2026-11-24T09:00:00Z" in local time; as it is when it is something else.
std::string local_time(const std::string& iso) {
  std::tm utc{};
  if (::strptime(iso.c_str(), "%Y-%m-%dT%H:%M:%S", &utc) == nullptr) return printable(iso);
  return human_time(::timegm(&utc));
}

bool needs_attention(const PipelineStatus& pipeline) {
  return !pipeline.message.empty() || pipeline.state == "failed" || pipeline.state == "refused";
}

// Busy, then blocked, then idle.
std::string bar(const WorkerStatus& worker, bool unicode) {
  auto cells = [](double share) {
    return static_cast<std::size_t>(
        std::lround(std::clamp(share, 0.0, 1.0) * static_cast<double>(kBarCells)));
  };
  std::size_t busy = cells(worker.busy);
  std::size_t blocked = std::max(busy, cells(worker.busy + worker.blocked)) - busy;
  std::string bar = unicode ? "▕" : "[";
  for (std::size_t i = 0; i < busy; ++i) bar += unicode ? "█" : "#";
  for (std::size_t i = 0; i < blocked; ++i) bar += unicode ? "▒" : "=";
  bar.append(kBarCells - busy - blocked, unicode ? ' ' : '.');
  return bar + (unicode ? "▏" : "]");
}

// Builds the text line by line.
class Page {
 public:
  Page(std::size_t width, bool unicode) : width_(width), unicode_(unicode) {}

  void line(std::string_view text) { text_ += cut_to(text, width_) + "\n"; }
  void row(std::string_view name, std::string_view text) { line(fmt::format("  {:<12}{}", name, text)); }
  // This and the events must be read: they are never cut.
  void warn(std::string_view message) {
    for (bool first = true; !message.empty(); first = false) {
      std::size_t end = message.find('\n');
      text_ += fmt::format("  {} {}\n", first ? "!" : " ", printable(message.substr(0, end)));
      message.remove_prefix(end == std::string_view::npos ? message.size() : end + 1);
    }
  }
  void gap() { text_ += '\n'; }
  void pipeline(const PipelineStatus& pipeline);
  std::string take() { return std::move(text_); }

 private:
  void numbers(const PipelineStatus& pipeline);
  void processors(const PipelineStatus& pipeline);
  void workers(const PipelineStatus& pipeline);
  void events(const PipelineStatus& pipeline);

  std::size_t width_;
  bool unicode_;
  std::string text_;
};

void Page::numbers(const PipelineStatus& pipeline) {
  row("rate",
      fmt::format("{} records/s, {}{}", human_count(pipeline.rate.records), human_rate(pipeline.rate.bytes),
                  pipeline.bottleneck.empty()
                      ? ""
                      : fmt::format("; bottleneck: {}", printable(pipeline.bottleneck))));
  row("records", fmt::format("{} in ({}), {} kept, {} dropped, {} dead", exact_count(pipeline.records.in),
                             human_bytes(pipeline.bytes_in), exact_count(pipeline.records.kept),
                             exact_count(pipeline.records.dropped), exact_count(pipeline.records.dead)));
  row("sources",
      fmt::format("{} of {} done{}", exact_count(pipeline.sources.done), exact_count(pipeline.sources.total),
                  pipeline.sources.failed == 0
                      ? ""
                      : fmt::format(", {} failed: leat sources {} --state-filter failed",
                                    exact_count(pipeline.sources.failed), printable(pipeline.name))));
  row("memory", fmt::format("{}, {} under way (epoch {})", human_bytes(pipeline.memory_bytes),
                            pipeline.window_batches == 1 ? "1 batch"
                                                         : exact_count(pipeline.window_batches) + " batches",
                            pipeline.epoch));
}

void Page::processors(const PipelineStatus& pipeline) {
  const auto& pool = pipeline.processors;
  if (pool.own + pool.joined + pool.wanted + pool.max == 0) return;  // without steps there are none
  std::string joined = pool.joined == 0 ? "" : fmt::format(" and {} that joined", pool.joined);
  std::string wanted = pool.wanted == pool.own ? "" : fmt::format(", {} wanted", pool.wanted);
  std::string how;
  if (pool.automatic) {
    how = fmt::format("; leatd decides, {} to {}", pool.min, pool.max);
  } else if (pool.min < pool.max) {
    how = fmt::format("; set by hand (leat scale {} processor auto)", printable(pipeline.name));
  }
  row("processors", fmt::format("{} own{}{}{}", pool.own, joined, wanted, how));
}

void Page::workers(const PipelineStatus& pipeline) {
  if (pipeline.workers.empty()) return;
  line(fmt::format("  {:<22}{:>8}  {:<8}{:>7}  {:<{}}{:>4}{:>6}{:>5}  {:>8}{:>9}", "WORKER", "PID", "STATE",
                   "FOR", "LOAD", kBarCells + 2, "BUSY", "BLOCK", "IDLE", "RECORDS", "MEMORY"));
  auto percent_of = [](double share) { return fmt::format("{:.0f}", 100 * std::clamp(share, 0.0, 1.0)); };
  for (const auto& worker : pipeline.workers) {
    std::string name = fmt::format("{}-{}{}", printable(worker.role), worker.index,
                                   worker.kind == "joined" ? " (joined)" : "");
    line(fmt::format(
        "  {:<22}{:>8}  {:<8}{:>7}  {}{:>4}{:>6}{:>5}  {:>8}{:>9}", name, worker.pid, printable(worker.state),
        worker.state_seconds < 86400 ? span(worker.state_seconds) : "> 1 d", bar(worker, unicode_),
        percent_of(worker.busy), percent_of(worker.blocked), percent_of(worker.idle),
        human_count(static_cast<double>(worker.records)), human_bytes(worker.memory_bytes)));
    bool said = pipeline.message.find(worker.activity) != std::string::npos;
    if (worker.state_seconds >= kLong && worker.state != "idle" && !said)
      line("      " + printable(worker.activity));
  }
}

void Page::events(const PipelineStatus& pipeline) {
  std::size_t count = pipeline.events.size();
  for (std::size_t i = count - std::min(count, kEventsShown); i < count; ++i) {
    const auto& event = pipeline.events[i];
    bool first = i == 0 || i + kEventsShown == count;
    text_ += fmt::format("  {:<12}{}  {}{} {}\n", first ? "events" : "", local_time(event.time),
                         event.level == "info" ? "" : printable(event.level) + ": ", printable(event.event),
                         printable(event.text));
  }
}

void Page::pipeline(const PipelineStatus& pipeline) {
  line(fmt::format("{}: {}{}   {}", printable(pipeline.name), printable(pipeline.state),
                   pipeline.state == "refused" ? "" : " for " + span(pipeline.state_seconds),
                   printable(pipeline.file)));
  // The problems of a file, a line each; anything else is one line.
  warn(pipeline.state == "refused" ? pipeline.message : printable(pipeline.message));
  if (pipeline.state != "refused") {
    numbers(pipeline);
    processors(pipeline);
    workers(pipeline);
  }
  if (needs_attention(pipeline)) events(pipeline);
}

}  // namespace

Result<proto::Status> parse_status(std::string_view data) {
  auto status = decode_fields<proto::Status>(data, "the status that leatd gives");
  if (status) return status;
  return fail(Fault::kFatal,
              status.error().text +
                  "; restart leatd (systemctl restart leatd) if it is of another version than this leat",
              kExitBug);
}

std::string to_text(const proto::Status& status, std::size_t width, bool unicode) {
  Page page(width, unicode);
  auto wrong = static_cast<std::uint64_t>(std::ranges::count_if(status.pipelines, needs_attention));
  page.line(
      fmt::format("leatd {}, pid {}, since {}: {}{}", printable(status.version), status.pid,
                  local_time(status.since), counted(status.pipelines.size(), "pipeline"),
                  wrong == 0 ? "" : fmt::format(", {} {} attention", wrong, wrong == 1 ? "needs" : "need")));
  for (const auto& pipeline : status.pipelines) {
    page.gap();
    page.pipeline(pipeline);
  }
  return page.take();
}

}  // namespace leat::cli
