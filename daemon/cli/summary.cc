#include "daemon/cli/summary.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>

#include "proto/base/human.h"
#include "proto/base/json.h"
#include "proto/base/text.h"

namespace leat::cli {

namespace {

void read_bad(const JsonValue& list, std::vector<Summary::BadSource>& into) {
  list.each([&](const JsonValue& item) {
    if (auto path = item.as_text()) {
      into.push_back({std::string(*path), 0, ""});
    } else {
      into.push_back({item.text("path"), item.number("offset"), item.text("reason")});
    }
  });
}

bool read_account(Summary& summary, const std::string& details) {
  const auto document = parse_json_object(details);
  if (!document || !document->root()["in"].as_number()) return false;
  const JsonValue account = document->root();
  summary.stopped = account.is_true("stopped");
  summary.resumed = account.is_true("resumed");
  summary.already_done = account.number("already_done");
  summary.last_done_s = static_cast<std::int64_t>(account.number("last_done_s"));
  summary.in = account.number("in");
  summary.kept = account.number("kept");
  summary.dropped = account.number("dropped");
  summary.dead = account.number("dead");
  summary.out = account.number("out");
  summary.blank = account.number("blank");
  account["outputs"].each([&](const JsonValue& item) {
    summary.outputs.push_back({item.text("path"), item.number("bytes"), item.number("records_bytes")});
  });
  summary.outputs_count = std::max(account.number("outputs_count"), std::uint64_t{summary.outputs.size()});
  summary.outputs_empty = account.number("outputs_empty");
  summary.dead_letter_path = account["dead_letter"].text("path");
  summary.dead_letters = account["dead_letter"].number("records");
  const JsonValue sources = account["sources"];
  summary.sources_done = sources.number("done");
  read_bad(sources["failed"], summary.failed);
  read_bad(sources["changed"], summary.changed);
  summary.sources_failed = std::max(sources.number("failed_count"), std::uint64_t{summary.failed.size()});
  summary.sources_changed = std::max(sources.number("changed_count"), std::uint64_t{summary.changed.size()});
  return true;
}

int exit_code_of(const Summary& summary, bool strict) {
  if (summary.stopped) return kExitStopped;
  if (summary.sources_failed + summary.sources_changed > 0) return kExitIo;
  return strict && summary.dead > 0 ? kExitStrict : kExitOk;
}

using Lines = std::back_insert_iterator<std::string>;

constexpr std::size_t kOutputsShown = 10;

void put_records(Lines to, const Summary& summary) {
  auto row = [&](std::string_view name, std::uint64_t count, const std::string& more) {
    fmt::format_to(to, "  {:<9}{:>16}{}{}\n", name, exact_count(count), more.empty() ? "" : "   ", more);
  };
  auto share = [&](std::uint64_t part) {
    return percent(static_cast<double>(part), static_cast<double>(summary.in));
  };
  double seconds = summary.run.seconds;
  double bytes = static_cast<double>(summary.run.bytes_in);
  row("in", summary.in,
      fmt::format("{}, {} read from disk", human_bytes(summary.run.bytes_in),
                  human_bytes(summary.run.disk_bytes)));
  row("kept", summary.kept, share(summary.kept));
  row("dropped", summary.dropped, share(summary.dropped));
  row("dead", summary.dead,
      summary.dead == 0 || summary.dead_letter_path.empty() ? ""
                                                            : "see " + printable(summary.dead_letter_path));
  row("out", summary.out, "");
  if (summary.blank > 0) row("blank", summary.blank, "lines, not counted as records");
  fmt::format_to(to, "  {:<9}{:>16}", "time", fmt::format("{:.2f} s", seconds));
  if (seconds > 0) {
    fmt::format_to(to, "   {}, {} records/s", human_rate(bytes / seconds),
                   human_count(static_cast<double>(summary.in) / seconds));
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
  auto list = [&](std::string_view what, const std::vector<Summary::BadSource>& sources) {
    for (const auto& source : sources) {
      fmt::format_to(to, "  {}  {} at byte {}: {}\n", what, printable(source.path),
                     exact_count(source.offset), printable(without_path(source.reason, source.path)));
    }
  };
  list("failed ", summary.failed);
  list("changed", summary.changed);
  std::uint64_t listed = summary.failed.size() + summary.changed.size();
  std::uint64_t all = summary.sources_failed + summary.sources_changed;
  if (all > listed)
    fmt::format_to(to, "  and {} that failed or changed\n", counted(all - listed, "more file"));
}

void put_outputs(Lines to, const Summary& summary) {
  const std::size_t shown = std::min(summary.outputs.size(), kOutputsShown);
  for (std::size_t i = 0; i < shown; ++i) {
    const auto& output = summary.outputs[i];
    fmt::format_to(to, "  output   {} ({}{})\n", printable(output.path), human_bytes(output.bytes),
                   output.bytes == output.records_bytes
                       ? ""
                       : fmt::format(", {} uncompressed", human_bytes(output.records_bytes)));
  }
  if (summary.outputs_count > shown)
    fmt::format_to(to, "  and {} more outputs\n", exact_count(summary.outputs_count - shown));
  if (summary.outputs_empty > 0) {
    fmt::format_to(to, "  {} of {} {} empty: no record of their sources was kept\n",
                   exact_count(summary.outputs_empty), counted(summary.outputs_count, "output"),
                   summary.outputs_empty == 1 ? "is" : "are");
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
  summary.complete = read_account(summary, outcome.details);
  if (!summary.complete) {
    summary.exit_code = kExitBug;
    summary.failure = "the writer's run summary cannot be read";
  } else if (summary.in != summary.kept + summary.dropped + summary.dead) {
    summary.exit_code = kExitBug;
    summary.failure = fmt::format(
        "the counts do not add up: in {} is not kept {} + dropped {} + dead {}; do not trust the output",
        summary.in, summary.kept, summary.dropped, summary.dead);
  } else {
    summary.exit_code = exit_code_of(summary, strict);
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
  std::uint64_t touched = summary.sources_done + summary.sources_failed + summary.sources_changed;
  if (summary.stopped) {
    return "stopped before the end of the input; " + run_again(summary);
  }
  std::string before =
      summary.already_done == 0
          ? ""
          : fmt::format("{} {} done before, the last at {}", counted(summary.already_done, "file"),
                        summary.already_done == 1 ? "was" : "were", human_time(summary.last_done_s));
  if (touched == 0 && summary.in == 0 && !summary.outputs.empty()) {
    return fmt::format("finished what an earlier run had left{}", before.empty() ? "" : "; " + before);
  }
  if (touched == 0 && summary.in == 0 && summary.already_done > 0) {
    return fmt::format("nothing to do: {} (--fresh --force does it all again)", before);
  }
  return fmt::format("{} of {} read{}{}", exact_count(summary.sources_done), counted(touched, "file"),
                     summary.resumed ? ", continuing an interrupted run" : "",
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

void put_json_bad(JsonWriter& json, std::string_view key, const std::vector<Summary::BadSource>& sources) {
  json.array(key, [&] {
    for (const auto& source : sources) {
      json.object([&] {
        json.put("path", source.path);
        json.put("offset", source.offset);
        json.put("reason", source.reason);
      });
    }
  });
}

std::uint64_t bytes_written(const Summary& summary) {
  std::uint64_t bytes = 0;
  for (const auto& output : summary.outputs) bytes += output.bytes;
  return bytes;
}

void put_json_account(JsonWriter& json, const Summary& summary) {
  json.put("stopped", summary.stopped);
  json.put("resumed", summary.resumed);
  json.put("in", summary.in);
  json.put("kept", summary.kept);
  json.put("dropped", summary.dropped);
  json.put("dead", summary.dead);
  json.put("out", summary.out);
  json.put("blank", summary.blank);
  json.put("outputs_count", summary.outputs_count);
  json.put("outputs_empty", summary.outputs_empty);
  json.array("outputs", [&] {
    for (const auto& output : summary.outputs) {
      json.object([&] {
        json.put("path", output.path);
        json.put("bytes", output.bytes);
        json.put("records_bytes", output.records_bytes);
      });
    }
  });
  json.object("dead_letter", [&] {
    json.put("path", summary.dead_letter_path);
    json.put("records", summary.dead_letters);
  });
  json.object("sources", [&] {
    json.put("done", summary.sources_done);
    json.put("done_before", summary.already_done);
    json.put("failed_count", summary.sources_failed);
    json.put("changed_count", summary.sources_changed);
    put_json_bad(json, "failed", summary.failed);
    put_json_bad(json, "changed", summary.changed);
  });
}

}  // namespace

std::string to_json(const Summary& summary) {
  const auto& run = summary.run;
  JsonWriter json;
  json.object([&] {
    json.put("pipeline", summary.pipeline);
    json.put("exit_code", static_cast<std::uint64_t>(summary.exit_code));
    if (!summary.failure.empty()) json.put("failure", summary.failure);
    if (summary.complete) put_json_account(json, summary);
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
