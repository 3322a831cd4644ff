#include <fmt/format.h>

#include <cstdio>
#include <optional>

#include "daemon/cli/commands.h"
#include "daemon/plan/plan.h"
#include "daemon/plan/surroundings.h"
#include "daemon/supervisor/process.h"
#include "proto/base/human.h"
#include "proto/base/json.h"
#include "proto/base/text.h"
#include "workers/ledger/ledger.h"
#include "workers/ledger/state_folder.h"

namespace leat::cli {

namespace {

struct Checked {
  std::string file;
  std::vector<config::Problem> problems;
  std::vector<std::string> warnings;
};

// Has it run here before, as far as this user can see?
bool has_run(const config::Pipeline& pipeline) {
  auto view = ledger::View::open(ledger::default_state_folder(pipeline.name));
  return view && *view;
}

Checked check_file(const plan::Candidate& candidate, const std::optional<plan::Sandbox>& sandbox) {
  Checked checked{candidate.file, candidate.plan.problems, {}};
  const config::Pipeline& pipeline = candidate.plan.pipeline;
  if (checked.problems.empty() && sandbox)
    checked.problems = plan::wrong_for_service(pipeline, candidate.file, *sandbox);
  if (!checked.problems.empty()) return checked;
  checked.warnings = plan::wrong_with_outputs(pipeline, has_run(pipeline));
  auto listing = plan::list_files(candidate.plan);
  if (!listing) {
    checked.warnings.push_back(
        fmt::format("the files that match could not be listed: {}", listing.error().text));
  } else if (listing->files.empty()) {
    checked.warnings.push_back("no file matches source.paths now");
  }
  return checked;
}

void print_text(const Checked& checked) {
  for (const auto& problem : checked.problems) fmt::print(stderr, "{}\n", to_string(problem));
  for (const auto& warning : checked.warnings)
    fmt::print(stderr, "{}: warning: {}\n", printable(checked.file), printable(warning));
  if (!checked.problems.empty()) return;
  fmt::print(
      "{}: OK{}\n", printable(checked.file),
      checked.warnings.empty() ? "" : fmt::format(", {}", counted(checked.warnings.size(), "warning")));
}

void put(JsonWriter& json, const Checked& checked) {
  json.object([&] {
    json.put("file", checked.file);
    json.put("ok", checked.problems.empty());
    json.array("problems", [&] {
      for (const auto& problem : checked.problems) {
        json.object([&] {
          json.put("line", static_cast<std::uint64_t>(problem.where.line));
          json.put("column", static_cast<std::uint64_t>(problem.where.column));
          json.put("key", problem.key);
          json.put("text", problem.text);
        });
      }
    });
    json.array("warnings", [&] {
      for (const auto& warning : checked.warnings) json.item(warning);
    });
  });
}

}  // namespace

int check(const std::vector<std::string>& pipelines, bool for_service, bool as_json) {
  bool good = true;
  std::vector<plan::Candidate> candidates;
  candidates.reserve(pipelines.size());
  for (const auto& file : pipelines) candidates.push_back({file, plan::load_plan(file)});
  plan::check_together(candidates);
  std::optional<plan::Sandbox> sandbox;
  if (for_service) sandbox = plan::sandbox_of_leatd();
  JsonWriter json;
  json.array([&] {
    for (const auto& candidate : candidates) {
      Checked checked = check_file(candidate, sandbox);
      good = good && checked.problems.empty();
      if (as_json)
        put(json, checked);
      else
        print_text(checked);
    }
  });
  if (as_json) fmt::print("{}\n", json.text());
  return good ? kExitOk : kExitConfig;
}

}  // namespace leat::cli
