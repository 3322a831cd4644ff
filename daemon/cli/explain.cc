#include <fmt/format.h>

#include <cstdio>
#include <string>
#include <string_view>
#include <vector>

#include "config/keys.h"
#include "daemon/cli/commands.h"
#include "daemon/plan/plan.h"
#include "daemon/plan/state.h"
#include "daemon/supervisor/runtime_folder.h"
#include "proto/base/human.h"
#include "proto/base/json.h"
#include "proto/base/text.h"
#include "workers/ledger/state_folder.h"
#include "workers/stage/sandbox.h"

namespace leat::cli {

namespace {

constexpr std::size_t kFilesShown = 20;

struct Facts {
  plan::Plan plan;
  Result<proto::Listing> listing;
  Result<proto::FilterPlan> filter;
};

std::string_view name(config::Compression compression) {
  return config::names::kCompressions[static_cast<std::size_t>(compression)];
}

// Without steps there are none, whatever the file says.
config::Workers processors(const config::Pipeline& pipeline) {
  return pipeline.has_processors() ? pipeline.process.workers : config::Workers{0, 0};
}

std::string sink_text(const config::Sink& sink) {
  if (sink.compression == config::Compression::kNone) return printable(sink.path) + " (not compressed)";
  return fmt::format(
      "{} ({}, level {}{})", printable(sink.path), name(sink.compression), sink.level,
      sink.threads > 0 ? fmt::format(", {} thread{}", sink.threads, sink.threads == 1 ? "" : "s") : "");
}

std::uint64_t total(const proto::Listing& listing) {
  std::uint64_t bytes = 0;
  for (const auto& file : listing.files) bytes += file.bytes;
  return bytes;
}

void print_files(const Facts& facts) {
  if (!facts.listing) {
    fmt::print("\nfiles      cannot be listed: {}\n", printable(facts.listing.error().text));
    return;
  }
  const proto::Listing& listing = *facts.listing;
  fmt::print("\nfiles      {} {}, {}\n", exact_count(listing.files.size()),
             listing.files.size() == 1 ? "matches" : "match", human_bytes(total(listing)));
  for (std::size_t i = 0; i < listing.files.size() && i < kFilesShown; ++i) {
    fmt::print("  {:>10}  {}\n", human_bytes(listing.files[i].bytes), printable(listing.files[i].path));
  }
  if (listing.files.size() > kFilesShown) {
    fmt::print("  and {} more (--json lists all)\n", exact_count(listing.files.size() - kFilesShown));
  }
  for (std::size_t i = 0; i < listing.skipped.size() && i < kFilesShown; ++i) {
    fmt::print("  {:>10}  {}: {}\n", "skipped", printable(listing.skipped[i].path),
               printable(listing.skipped[i].reason));
  }
  if (listing.skipped.size() > kFilesShown) {
    fmt::print("  and {} more skipped\n", exact_count(listing.skipped.size() - kFilesShown));
  }
}

std::string range_text(int least, int most) {
  return least == most ? fmt::format("{}", least) : fmt::format("{} to {}", least, most);
}

std::string processors_text(const config::Pipeline& pipeline) {
  if (!pipeline.has_processors()) return "";
  const config::Workers& workers = pipeline.process.workers;
  return fmt::format("{} processor{}{} -> ", range_text(workers.min, workers.max),
                     workers.max == 1 ? "" : "s", workers.max == 0 ? " (they join from outside)" : "");
}

void print_stages(const Facts& facts) {
  const config::Pipeline& pipeline = facts.plan.pipeline;
  const int others = 2 + pipeline.filter.workers;
  fmt::print("stages     1 reader -> {} filter{} -> {}1 writer: {} processes and leat itself\n",
             pipeline.filter.workers, pipeline.filter.workers == 1 ? "" : "s", processors_text(pipeline),
             range_text(others + processors(pipeline).min, others + processors(pipeline).max));
  fmt::print("\nfilter     a record is kept when all of these hold, tried in this order\n");
  if (!facts.filter) {
    fmt::print("  cannot be described: {}\n", printable(facts.filter.error().text));
  } else if (facts.filter->predicates.empty()) {
    fmt::print("  (none: every record is kept)\n");
  } else {
    int at = 0;
    for (const auto& predicate : facts.filter->predicates)
      fmt::print("  {:2}. {}\n", ++at, printable(predicate));
  }
  fmt::print("\nprocess    {}\n", pipeline.has_processors() ? "each record kept goes through these steps"
                                                            : "no steps: records pass byte for byte");
  int at = 0;
  for (const auto& step : pipeline.process.steps)
    fmt::print("  {:2}. {}\n", ++at, printable(plan::describe(step)));
}

void print_budget(const plan::Plan& plan) {
  const config::Budget& budget = plan.budget;
  auto row = [](std::string_view what, std::uint64_t bytes, const std::string& more) {
    fmt::print("  {:<16}{:>10}{}{}\n", what, human_bytes(bytes), more.empty() ? "" : "   ", more);
  };
  fmt::print("\nmemory\n");
  row("base", budget.base_bytes, "the processes themselves");
  row("codecs", budget.codec_bytes, "windows of compression, in and out");
  row("sets", budget.sets_bytes, "in_file and not_in_file");
  row("window", budget.window_bytes,
      fmt::format("{} batches of up to {} between reader and writer; in memory up to four times",
                  budget.window_batches, human_bytes(plan.pipeline.limits.batch_bytes)));
  row("limits.memory", plan.pipeline.limits.memory_bytes, "");
}

void print_text(const Facts& facts) {
  const config::Pipeline& pipeline = facts.plan.pipeline;
  fmt::print("pipeline   {} ({})\n", pipeline.name, printable(pipeline.file));
  print_stages(facts);
  print_budget(facts.plan);
  print_files(facts);
  fmt::print("\nsink       {}\n", sink_text(pipeline.sink));
  fmt::print("dead       {}\n", pipeline.dead_letter_path.empty()
                                    ? "no dead_letter.path: bad records are counted and warned of, not kept"
                                    : printable(pipeline.dead_letter_path));
}

void put_budget(JsonWriter& json, const plan::Plan& plan) {
  json.object("budget", [&] {
    json.put("base_bytes", plan.budget.base_bytes);
    json.put("codec_bytes", plan.budget.codec_bytes);
    json.put("sets_bytes", plan.budget.sets_bytes);
    json.put("window_bytes", plan.budget.window_bytes);
    json.put("window_batches", static_cast<std::uint64_t>(plan.budget.window_batches));
    json.put("batch_bytes", plan.pipeline.limits.batch_bytes);
    json.put("limit_bytes", plan.pipeline.limits.memory_bytes);
  });
}

void put_files(JsonWriter& json, const Facts& facts) {
  if (!facts.listing) {
    json.put("files_error", facts.listing.error().text);
    return;
  }
  json.array("files", [&] {
    for (const auto& file : facts.listing->files) {
      json.object([&] {
        json.put("path", file.path);
        json.put("bytes", file.bytes);
      });
    }
  });
  json.array("skipped", [&] {
    for (const auto& entry : facts.listing->skipped) {
      json.object([&] {
        json.put("path", entry.path);
        json.put("reason", entry.reason);
      });
    }
  });
}

void put_stages(JsonWriter& json, const Facts& facts) {
  const config::Pipeline& pipeline = facts.plan.pipeline;
  json.object("workers", [&] {
    json.put("reader", std::uint64_t{1});
    json.put("filter", static_cast<std::uint64_t>(pipeline.filter.workers));
    json.put("processor", static_cast<std::uint64_t>(processors(pipeline).min));
    json.put("processor_max", static_cast<std::uint64_t>(processors(pipeline).max));
    json.put("writer", std::uint64_t{1});
  });
  if (facts.filter) {
    json.array("predicates", [&] {
      for (const auto& predicate : facts.filter->predicates) json.item(predicate);
    });
  } else {
    json.put("predicates_error", facts.filter.error().text);
  }
  json.array("steps", [&] {
    for (const auto& step : pipeline.process.steps) json.item(plan::describe(step));
  });
}

void print_json(const Facts& facts) {
  const config::Pipeline& pipeline = facts.plan.pipeline;
  JsonWriter json;
  json.object([&] {
    json.put("pipeline", pipeline.name);
    json.put("file", pipeline.file);
    put_stages(json, facts);
    put_budget(json, facts.plan);
    put_files(json, facts);
    json.object("sink", [&] {
      json.put("path", pipeline.sink.path);
      json.put("compression", name(pipeline.sink.compression));
    });
    json.put("dead_letter", pipeline.dead_letter_path);
  });
  fmt::print("{}\n", json.text());
}

}  // namespace

namespace {

// What each worker may do, as it says itself.
int explain_sandbox(const plan::Plan& plan) {
  const config::Pipeline& pipeline = plan.pipeline;
  const std::string runtime = supervisor::default_runtime_root() + "/" + pipeline.name + "-PID";
  const bool is_volatile = plan::is_volatile(pipeline.sink.path);
  const std::string state = is_volatile ? runtime : ledger::default_state_folder(pipeline.name);
  for (std::string_view role : {"reader", "filter", "processor", "writer"}) {
    if (role == "processor" && !pipeline.has_processors()) continue;
    auto lines = plan::ask_worker(role, "--show-sandbox",
                                  {.pipeline = pipeline, .surroundings = {runtime, state, is_volatile}});
    if (!lines) {
      fmt::print(stderr, "{}\n", lines.error().text);
      return lines.error().exit_code;
    }
    std::string indented = "  " + *lines;
    for (std::size_t at = 0;
         (at = indented.find('\n', at)) != std::string::npos && at + 1 < indented.size();) {
      indented.insert(++at, "  ");
    }
    fmt::print("{}\n{}", role, printable_lines(indented));
  }
  if (stage::sandbox_is_off()) fmt::print("LEAT_SANDBOX=off: none of that is enforced\n");
  if (std::string gaps = stage::sandbox_gaps(); !gaps.empty()) fmt::print("{}\n", gaps);
  return kExitOk;
}

}  // namespace

int explain(const std::string& file, bool as_json, bool sandbox) {
  plan::Plan plan = plan::load_plan(file);
  if (!plan.problems.empty()) {
    for (const auto& problem : plan.problems) fmt::print(stderr, "{}\n", to_string(problem));
    return kExitConfig;
  }
  if (sandbox) return explain_sandbox(plan);
  auto listing = plan::list_files(plan);
  auto filter = plan::describe_filter(plan);
  Facts facts{std::move(plan), std::move(listing), std::move(filter)};
  if (as_json)
    print_json(facts);
  else
    print_text(facts);
  return kExitOk;
}

}  // namespace leat::cli
