#include <fmt/format.h>

#include <cstdio>
#include <cstdlib>
#include <optional>
#include <vector>

#include "daemon/cli/commands.h"
#include "daemon/cli/leatd.h"
#include "proto/base/human.h"
#include "proto/base/json.h"
#include "proto/base/text.h"
#include "workers/ledger/state_folder.h"

namespace leat::cli {

namespace {

constexpr std::size_t kOutputsShown = 20;

struct Facts {
  std::string folder;
  std::string pipeline;
  std::uint64_t epoch = 0;
  std::optional<ledger::Holder> holder;
  std::optional<ledger::Run> last;
  std::optional<ledger::Failure> failure;  // of that run
  ledger::View::Totals sources;
  ledger::View::OutputTotals outputs;
  std::vector<ledger::Output> unfinished;
  std::optional<ledger::DeadLetterFile> dead;
};

Result<Facts> gather(plan::OpenState& state) {
  Facts facts;
  facts.folder = state.folder;
  facts.pipeline = state.pipeline;
  facts.holder = ledger::RunLock::holder(state.folder);
  std::optional<Error> failed;
  auto take = [&](auto answer, auto& into) {
    if (answer) {
      into = *std::move(answer);
    } else if (!failed) {
      failed = answer.error();
    }
  };
  take(state.view.epoch(), facts.epoch);
  take(state.view.last_run(), facts.last);
  if (facts.last && facts.last->ended_s == 0) facts.failure = ledger::RunLock::failure(state.folder);
  if (facts.failure && facts.failure->run != facts.last->id) facts.failure.reset();
  take(state.view.totals(), facts.sources);
  take(state.view.output_totals(), facts.outputs);
  take(state.view.unfinished_outputs(), facts.unfinished);
  take(state.view.dead_letters(), facts.dead);
  if (failed) return tl::unexpected(*failed);
  return facts;
}

std::string records(const ledger::Counts& counts) {
  return fmt::format("{} in, {} kept, {} dropped, {} dead, {} out", exact_count(counts.in),
                     exact_count(counts.kept), exact_count(counts.dropped), exact_count(counts.dead),
                     exact_count(counts.out));
}

// A run that is not over and that no process carries out was killed, unless it has said why it ended.
std::string ending(const Facts& facts) {
  if (facts.holder) return "under way";
  if (facts.last->ended_s != 0) return "ended " + human_time(facts.last->ended_s);
  return facts.failure
             ? fmt::format("ended {} with exit code {}", facts.failure->at, facts.failure->exit_code)
             : "not ended: it was killed, the next run continues";
}

void print_text(const Facts& facts) {
  auto row = [](std::string_view name, const std::string& text) { fmt::print("  {:<14}{}\n", name, text); };
  fmt::print("{}: {}\n", facts.pipeline, printable(facts.folder));
  row("running", facts.holder
                     ? fmt::format("pid {} on {} since {}, {}", facts.holder->pid, facts.holder->host,
                                   facts.holder->since, printable(facts.holder->pipeline))
                     : "no");
  if (facts.last) {
    row("last run", fmt::format("{}, began {}, {} (epoch {})", facts.last->id,
                                human_time(facts.last->started_s), ending(facts), facts.epoch));
    if (facts.failure) row("", printable(facts.failure->text));
    row("", records(facts.last->counts));
    row("", fmt::format("{} done, {} changed, {} failed", counted(facts.last->sources_done, "source"),
                        exact_count(facts.last->sources_changed), exact_count(facts.last->sources_failed)));
  }
  const auto& sources = facts.sources;
  row("sources",
      fmt::format("{} done, {} reading, {} changed, {} failed; last done {}", exact_count(sources.done),
                  exact_count(sources.reading), exact_count(sources.changed), exact_count(sources.failed),
                  human_time(sources.last_done_s)));
  row("", records(sources.counts));
  row("outputs", fmt::format("{} published ({}), {} complete, {} being written",
                             exact_count(facts.outputs.published), human_bytes(facts.outputs.published_bytes),
                             exact_count(facts.outputs.complete), exact_count(facts.outputs.writing)));
  for (std::size_t i = 0; i < facts.unfinished.size() && i < kOutputsShown; ++i) {
    const auto& output = facts.unfinished[i];
    row("", fmt::format("{:<9} {:>9}  {}", to_string(output.state), human_bytes(output.length),
                        printable(output.target)));
  }
  if (facts.unfinished.size() > kOutputsShown) {
    row("", fmt::format("and {} more", exact_count(facts.unfinished.size() - kOutputsShown)));
  }
  if (facts.dead) {
    row("dead letters", fmt::format("{} in {} ({})", exact_count(facts.dead->letters),
                                    printable(facts.dead->path), human_bytes(facts.dead->length)));
  }
}

void put(JsonWriter& json, const ledger::Counts& counts) {
  json.put("in", counts.in);
  json.put("kept", counts.kept);
  json.put("dropped", counts.dropped);
  json.put("dead", counts.dead);
  json.put("out", counts.out);
  json.put("out_bytes", counts.out_bytes);
}

void put_run(JsonWriter& json, const Facts& facts) {
  const ledger::Run& run = *facts.last;
  json.object("last_run", [&] {
    json.put("id", run.id);
    json.put("started_s", static_cast<std::uint64_t>(run.started_s));
    json.put("ended_s", static_cast<std::uint64_t>(run.ended_s));
    put(json, run.counts);
    json.put("sources_done", run.sources_done);
    json.put("sources_changed", run.sources_changed);
    json.put("sources_failed", run.sources_failed);
    if (facts.failure) {
      json.put("exit_code", std::uint64_t{std::strtoul(facts.failure->exit_code.c_str(), nullptr, 10)});
      json.put("failure", facts.failure->text);
    }
  });
}

std::string to_json(const Facts& facts) {
  JsonWriter json;
  json.object([&] {
    json.put("pipeline", facts.pipeline);
    json.put("state", facts.folder);
    json.put("epoch", facts.epoch);
    if (facts.holder) {
      json.object("running", [&] {
        json.put("pid", facts.holder->pid);
        json.put("host", facts.holder->host);
        json.put("since", facts.holder->since);
        json.put("pipeline", facts.holder->pipeline);
      });
    }
    if (facts.last) put_run(json, facts);
    json.object("sources", [&] {
      json.put("done", facts.sources.done);
      json.put("reading", facts.sources.reading);
      json.put("changed", facts.sources.changed);
      json.put("failed", facts.sources.failed);
      json.put("last_done_s", static_cast<std::uint64_t>(facts.sources.last_done_s));
      put(json, facts.sources.counts);
    });
    json.object("outputs", [&] {
      json.put("published", facts.outputs.published);
      json.put("published_bytes", facts.outputs.published_bytes);
      json.put("complete", facts.outputs.complete);
      json.put("writing", facts.outputs.writing);
      json.array("unfinished", [&] {
        for (const auto& output : facts.unfinished) {
          json.object([&] {
            json.put("target", output.target);
            json.put("temporary", output.temporary);
            json.put("state", to_string(output.state));
            json.put("length", output.length);
          });
        }
      });
    });
    if (facts.dead) {
      json.object("dead_letters", [&] {
        json.put("path", facts.dead->path);
        json.put("length", facts.dead->length);
        json.put("letters", facts.dead->letters);
      });
    }
  });
  return json.text();
}

}  // namespace

int status(const StatusOptions& options) {
  if (options.of.state.empty() && (options.of.pipeline.empty() || is_leatds(options.of.pipeline))) {
    return leatd_status(options);
  }
  auto state = plan::open_state(options.of);
  if (!state) return fail_with(state.error());
  auto facts = gather(*state);
  if (!facts) return fail_with(facts.error());
  if (options.json) {
    fmt::print("{}\n", to_json(*facts));
  } else {
    print_text(*facts);
  }
  return kExitOk;
}

}  // namespace leat::cli
