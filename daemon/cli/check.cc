#include <fmt/format.h>

#include <cstdio>

#include "daemon/cli/commands.h"
#include "daemon/cli/json.h"
#include "daemon/cli/plan.h"
#include "daemon/supervisor/process.h"

namespace leat::cli {

namespace {

struct Checked {
  std::string file;
  std::vector<config::Problem> problems;
  std::vector<std::string> warnings;
};

Checked look(const Candidate& candidate, const std::string& program_folder) {
  Checked checked{candidate.file, candidate.plan.problems, {}};
  if (!checked.problems.empty()) return checked;
  auto listing = list_files(program_folder, candidate.plan);
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
  for (const auto& warning : checked.warnings) fmt::print(stderr, "{}: warning: {}\n", checked.file, warning);
  if (checked.problems.empty()) fmt::print("{}: good\n", checked.file);
}

void put(Json& json, const Checked& checked) {
  json.object([&] {
    json.put("file", checked.file);
    json.put("good", checked.problems.empty());
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

int check(const std::vector<std::string>& pipelines, bool as_json) {
  std::string program_folder = supervisor::own_folder();
  bool good = true;
  std::vector<Candidate> candidates;
  candidates.reserve(pipelines.size());
  for (const auto& file : pipelines) candidates.push_back({file, load_plan(file)});
  check_together(candidates);
  Json json;
  json.array([&] {
    for (const auto& candidate : candidates) {
      Checked checked = look(candidate, program_folder);
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
