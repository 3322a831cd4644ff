#include "daemon/plan/plan.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <sys/stat.h>

#include <cerrno>
#include <cstring>
#include <map>

#include "config/checks.h"
#include "config/glob.h"
#include "config/text.h"
#include "config/units.h"
#include "daemon/supervisor/process.h"

namespace leat::plan {

namespace {

using config::Predicate;
using config::Step;
constexpr std::size_t kMaxAnswerBytes = 256 * 1024 * 1024;

void find_missing_sets(const std::vector<Predicate>& predicates, const std::string& file,
                       std::vector<config::Problem>& problems) {
  for (const auto& predicate : predicates) {
    find_missing_sets(predicate.children, file, problems);
    bool in_file = predicate.op == Predicate::Op::kInFile;
    if (!in_file && predicate.op != Predicate::Op::kNotInFile) continue;
    if (::access(predicate.text.c_str(), R_OK) == 0) continue;
    problems.push_back({file, predicate.where, in_file ? "in_file" : "not_in_file",
                        fmt::format("{}: {}", predicate.text, std::strerror(errno))});
  }
}

void check_sets(Plan& plan) {
  struct stat status {};
  for (const auto& file : config::in_files(plan.pipeline)) {
    if (::stat(file.c_str(), &status) != 0) continue;
    plan.in_file_bytes += static_cast<std::uint64_t>(status.st_size);
    plan.in_file_state += fmt::format("{} {} {}.{:09} {}\n", file, status.st_size, status.st_mtim.tv_sec,
                                      status.st_mtim.tv_nsec, status.st_ino);
  }
}

// The check of names is the parser's; here links and mounts are checked.
void find_own_outputs(Plan& plan) {
  const config::Pipeline& pipeline = plan.pipeline;
  auto check = [&](const std::string& output, const char* key) {
    std::string glob =
        output.starts_with("/dev/") ? "" : config::reads_own_output(pipeline.source.paths, output);
    if (glob.empty()) return false;
    plan.problems.push_back(
        {pipeline.file,
         {},
         key,
         fmt::format("{} would be read as an input: its folder is one of {} under another name; write to "
                     "another folder",
                     config::in_quotes(output), config::in_quotes(glob))});
    return true;
  };
  for (const std::string& glob : pipeline.source.paths) {
    if (check(config::example_output(pipeline.sink.path, config::glob_example(glob)), "sink.path")) break;
  }
  if (!pipeline.dead_letter_path.empty()) check(pipeline.dead_letter_path, "dead_letter.path");
}

std::string pointers(const std::vector<config::Pointer>& fields) {
  std::string out;
  for (const auto& field : fields) out += " " + field.text();
  return out;
}

template <class Answer>
Result<Answer> answer(std::string_view role, const char* question, const Plan& plan) {
  auto text = ask_worker(role, question, {.pipeline = plan.pipeline});
  if (!text) return tl::unexpected(text.error());
  auto decoded = decode_fields<Answer>(*text, fmt::format("leat-{} {}", role, question));
  if (!decoded) return fail(Fault::kFatal, decoded.error().text, kExitBug);
  return decoded;
}

}  // namespace

Plan load_plan(const std::string& file) {
  Plan plan;
  config::Parsed parsed = config::load_pipeline(file);
  plan.pipeline = std::move(parsed.pipeline);
  plan.problems = std::move(parsed.problems);
  if (!plan.problems.empty()) return plan;
  find_missing_sets(plan.pipeline.filter.keep, file, plan.problems);
  check_sets(plan);
  find_own_outputs(plan);
  auto budget = config::plan_budget(plan.pipeline, plan.in_file_bytes);
  if (budget)
    plan.budget = *budget;
  else
    plan.problems.push_back({file, {}, "", budget.error().text});
  return plan;
}

void check_together(std::vector<Candidate>& candidates) {
  std::map<std::string, std::string> names, targets;  // to the file that has it
  for (Candidate& candidate : candidates) {
    if (!candidate.plan.problems.empty()) continue;
    auto claim = [&](auto& taken, const std::string& what, const char* key) {
      auto [at, is_new] = taken.emplace(what, candidate.file);
      if (is_new) return;
      candidate.plan.problems.push_back({candidate.file,
                                         {},
                                         key,
                                         fmt::format("{} is {}'s already: two pipelines cannot share it",
                                                     config::in_quotes(what), at->second)});
    };
    const config::Pipeline& pipeline = candidate.plan.pipeline;
    claim(names, pipeline.name, "name");
    if (!pipeline.sink.path.starts_with("/dev/")) claim(targets, pipeline.sink.path, "sink.path");
    if (!pipeline.dead_letter_path.empty()) claim(targets, pipeline.dead_letter_path, "dead_letter.path");
  }
}

Result<std::string> ask_worker(std::string_view role, const char* question, const stage::Briefing& briefing) {
  return supervisor::capture(fmt::format("{}/leat-{}", supervisor::own_folder(), role), {question},
                             kMaxAnswerBytes, stage::briefing_file(encode(briefing)).get());
}

Result<proto::Listing> list_files(const Plan& plan) {
  return answer<proto::Listing>("reader", "--list", plan);
}

Result<proto::FilterPlan> describe_filter(const Plan& plan) {
  return answer<proto::FilterPlan>("filter", "--describe", plan);
}

std::string describe(const Step& step) {
  auto pairs = [&](std::string_view verb) {
    std::string out(verb);
    for (const auto& [from, to] : step.moves) {
      out += fmt::format("{} {} to {}", out.size() == verb.size() ? "" : ",", from.text(), to.text());
    }
    for (const auto& [field, value] : step.values) {
      out += fmt::format("{} {} = {}", out.size() == verb.size() ? "" : ",", field.text(), value);
    }
    return out;
  };
  switch (step.op) {
    case Step::Op::kDrop:
      return "drop" + pointers(step.pointers);
    case Step::Op::kKeep:
      return "keep only" + pointers(step.pointers);
    case Step::Op::kRename:
      return pairs("rename");
    case Step::Op::kCopy:
      return pairs("copy");
    case Step::Op::kSet:
      return pairs("set");
    case Step::Op::kDefault:
      return pairs("default");
    case Step::Op::kLength:
      return fmt::format("length of {} to {}", step.from.text(), step.to.text());
    case Step::Op::kHash:
      return fmt::format("hash ({}) of {} to {}",
                         step.algorithm == config::HashAlgorithm::kXxh64 ? "xxh64" : "sha256",
                         step.from.text(), step.to.text());
    case Step::Op::kTruncate:
      return fmt::format("truncate {} to {}", step.from.text(), step.length);
    case Step::Op::kReplace:
      return fmt::format("replace in {} '{}' with '{}'", step.from.text(), step.pattern, step.with);
    case Step::Op::kExec:
      return fmt::format("exec {} (timeout {})", fmt::join(step.command, " "),
                         config::format_duration(step.timeout));
  }
  return {};
}

}  // namespace leat::plan
