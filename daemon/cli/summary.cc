#include "daemon/cli/summary.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>

#include "proto/base/human.h"
#include "proto/base/json.h"
#include "proto/base/text.h"

namespace leat::cli {

namespace {

using proto::RunSummary;

int exit_code_of(const RunSummary& counts, bool strict) {
  if (counts.stopped) return kExitStopped;
  if (counts.sources.failed_count + counts.sources.changed_count > 0) return kExitIo;
  return strict && counts.dead > 0 ? kExitStrict : kExitOk;
}

using Lines = std::back_insert_iterator<std::string>;

constexpr std::size_t kOutputsShown = 10;

void put_records(Lines to, const Summary& summary) {
  auto row = [&](std::string_view name, std::uint64_t count, const std::string& more) {
    fmt::format_to(to, "  {:<9}{:>16}{}{}\n", name, exact_count(count), more.empty() ? "" : "   ", more);
  };
  auto share = [&](std::uint64_t part) {
    return percent(static_cast<double>(part), static_cast<double>(summary.counts.in));
  };
  double seconds = summary.run.seconds;
  double bytes = static_cast<double>(summary.run.bytes_in);
  row("in", summary.counts.in,
      fmt::format("{}, {} read from disk", human_bytes(summary.run.bytes_in),
                  human_bytes(summary.run.disk_bytes)));
  row("kept", summary.counts.kept, share(summary.counts.kept));
  row("dropped", summary.counts.dropped, share(summary.counts.dropped));
  row("dead", summary.counts.dead,
      summary.counts.dead == 0 || summary.counts.dead_letter.path.empty()
          ? ""
          : "see " + printable(summary.counts.dead_letter.path));
  row("out", summary.counts.out, "");
  fmt::format_to(to, "  {:<9}{:>16}", "time", fmt::format("{:.2f} s", seconds));
  if (seconds > 0) {
    fmt::format_to(to, "   {}, {} records/s", human_rate(bytes / seconds),
                   human_count(static_cast<double>(summary.counts.in) / seconds));
  }
  fmt::format_to(to, "\n  {:<9}{:>16}   all processes together, at its peak\n", "memory",
                 human_bytes(summary.run.peak_memory_bytes));
}

void put_stages(Lines to, const Summary& summary) {
  const auto* busiest = supervisor::busiest(summary.run.stages);
  for (const auto& stage : summary.run.stages) {
    std::string name = fmt::format("{}{}", proto::to_string(stage.stage),
                                   stage.workers > 1 ? fmt::format(" x {}", stage.workers) : "");
    fmt::format_to(to, "  {:<15}{:>6} busy {:>8} blocked {:>8} idle{}\n", name, percent(stage.busy, 1),
                   percent(stage.blocked, 1), percent(stage.idle, 1),
                   &stage == busiest ? "   <- busiest" : "");
  }
}

void put_sources(Lines to, const Summary& summary) {
  auto list = [&](std::string_view what, const std::vector<RunSummary::Problem>& sources) {
    for (const auto& source : sources) {
      fmt::format_to(to, "  {}  {} at byte {}: {}\n", what, printable(source.path),
                     exact_count(source.offset), printable(without_path(source.reason, source.path)));
    }
  };
  list("failed ", summary.counts.sources.failed);
  list("changed", summary.counts.sources.changed);
  std::uint64_t listed = summary.counts.sources.failed.size() + summary.counts.sources.changed.size();
  std::uint64_t all = summary.counts.sources.failed_count + summary.counts.sources.changed_count;
  if (all > listed)
    fmt::format_to(to, "  and {} that failed or changed\n", counted(all - listed, "more file"));
}

void put_outputs(Lines to, const Summary& summary) {
  const std::size_t shown = std::min(summary.counts.outputs.size(), kOutputsShown);
  for (std::size_t i = 0; i < shown; ++i) {
    const auto& output = summary.counts.outputs[i];
    fmt::format_to(to, "  output   {} ({}{})\n", printable(output.path), human_bytes(output.bytes),
                   output.bytes == output.records_bytes
                       ? ""
                       : fmt::format(", {} uncompressed", human_bytes(output.records_bytes)));
  }
  if (summary.counts.outputs_count > shown)
    fmt::format_to(to, "  and {} more outputs\n", exact_count(summary.counts.outputs_count - shown));
  if (summary.counts.outputs_empty > 0) {
    fmt::format_to(to, "  {} of {} {} empty: no record of their sources was kept\n",
                   exact_count(summary.counts.outputs_empty), counted(summary.counts.outputs_count, "output"),
                   summary.counts.outputs_empty == 1 ? "is" : "are");
  }
}

}  // namespace

Summary summarise(const std::string& pipeline, const supervisor::Outcome& outcome, bool strict) {
  Summary summary;
  summary.pipeline = pipeline;
  summary.run = outcome.last;
  summary.failure = outcome.failure;
  summary.exit_code = outcome.exit_code;
  if (outcome.exit_code != kExitOk) return summary;
  auto counts = decode_fields<RunSummary>(outcome.details, "the writer's run summary");
  summary.complete = counts.has_value();
  if (counts) summary.counts = *std::move(counts);
  if (!summary.complete) {
    summary.exit_code = kExitBug;
    summary.failure = counts.error().text;
  } else if (summary.counts.in != summary.counts.kept + summary.counts.dropped + summary.counts.dead) {
    summary.exit_code = kExitBug;
    summary.failure = fmt::format(
        "the counts do not add up: in {} is not kept {} + dropped {} + dead {}; do not trust the output",
        summary.counts.in, summary.counts.kept, summary.counts.dropped, summary.counts.dead);
  } else {
    summary.exit_code = exit_code_of(summary.counts, strict);
  }
  return summary;
}

namespace {

// What has to be typed after a stop.
std::string run_again(const Summary& summary) {
  if (summary.volatile_state) return "run again to start over";
  std::string options = printable(summary.state_option) + (summary.forced ? " --force" : "");
  if (!options.empty()) options = " with" + options;
  if (summary.once) options += fmt::format("{} without --fresh and --reread", options.empty() ? "" : " and");
  return fmt::format("run again{} to continue", options);
}

// What became of the run, in a few words.
std::string headline(const Summary& summary) {
  std::uint64_t touched = summary.counts.sources.done + summary.counts.sources.failed_count +
                          summary.counts.sources.changed_count;
  if (summary.counts.stopped) {
    return "stopped before the end of the input; " + run_again(summary);
  }
  std::string before = summary.counts.sources.done_before == 0
                           ? ""
                           : fmt::format("{} {} done before, the last at {}",
                                         counted(summary.counts.sources.done_before, "file"),
                                         summary.counts.sources.done_before == 1 ? "was" : "were",
                                         human_time(summary.counts.sources.last_done_s));
  if (touched == 0 && summary.counts.in == 0 && !summary.counts.outputs.empty()) {
    return fmt::format("finished what an earlier run had left{}", before.empty() ? "" : "; " + before);
  }
  if (touched == 0 && summary.counts.in == 0 && summary.counts.sources.done_before > 0) {
    return fmt::format("nothing to do: {} (--fresh --force does it all again)", before);
  }
  return fmt::format("{} of {} read{}{}", exact_count(summary.counts.sources.done), counted(touched, "file"),
                     summary.counts.resumed ? ", continuing an interrupted run" : "",
                     before.empty() ? "" : "; " + before);
}

}  // namespace

std::string to_text(const Summary& summary) {
  std::string text;
  Lines to(text);
  if (!summary.complete) return text;
  std::string head = headline(summary);
  fmt::format_to(to, "{}: {}\n", summary.pipeline, head);
  if (head.starts_with("nothing")) return text;
  put_records(to, summary);
  put_stages(to, summary);
  put_sources(to, summary);
  put_outputs(to, summary);
  return text;
}

namespace {

void put_json_stages(JsonWriter& json, const Summary& summary) {
  json.array("stages", [&] {
    for (const auto& stage : summary.run.stages) {
      json.object([&] {
        json.put("stage", proto::to_string(stage.stage));
        json.put("workers", static_cast<std::uint64_t>(stage.workers));
        json.put("busy", stage.busy);
        json.put("blocked", stage.blocked);
        json.put("idle", stage.idle);
      });
    }
  });
  const auto* busiest = supervisor::busiest(summary.run.stages);
  if (busiest != nullptr) json.put("busiest", proto::to_string(busiest->stage));
}

std::uint64_t bytes_written(const Summary& summary) {
  std::uint64_t bytes = 0;
  for (const auto& output : summary.counts.outputs) bytes += output.bytes;
  return bytes;
}

}  // namespace

std::string to_json(const Summary& summary) {
  const auto& run = summary.run;
  JsonWriter json;
  json.object([&] {
    json.put("pipeline", summary.pipeline);
    json.put("exit_code", static_cast<std::uint64_t>(summary.exit_code));
    if (!summary.failure.empty()) json.put("failure", summary.failure);
    if (summary.complete) put_fields(json, summary.counts);
    json.put("bytes_in", run.bytes_in);
    json.put("disk_bytes_read", run.disk_bytes);
    json.put("bytes_written", bytes_written(summary));
    json.put("seconds", run.seconds);
    json.put("bytes_per_second", run.seconds > 0 ? static_cast<double>(run.bytes_in) / run.seconds : 0);
    json.put("records_per_second", run.seconds > 0 ? static_cast<double>(run.records_in) / run.seconds : 0);
    json.put("peak_memory_bytes", run.peak_memory_bytes);
    put_json_stages(json, summary);
  });
  return json.text() + "\n";
}

}  // namespace leat::cli
