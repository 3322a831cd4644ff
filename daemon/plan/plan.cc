#include "daemon/plan/plan.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <sys/stat.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <map>
#include <optional>

#include "config/glob.h"
#include "config/scalar.h"
#include "config/sections.h"
#include "config/text.h"
#include "daemon/supervisor/process.h"
#include "proto/base/fd.h"

namespace leat::plan {

namespace {

using config::Predicate;
using config::Step;
constexpr std::size_t kMaxFileBytes = 1024 * 1024;
constexpr std::size_t kMaxListingBytes = 256 * 1024 * 1024;

// nullopt: it cannot be read. A longer file is cut one byte over the limit, for the parser to refuse.
std::optional<std::string> read_file(const std::string& file) {
  Fd fd(::open(file.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd) return std::nullopt;
  std::string text;
  std::array<char, 16 * 1024> chunk;
  while (text.size() <= kMaxFileBytes) {
    ssize_t count = ::read(fd.get(), chunk.data(), chunk.size());
    if (count < 0) return std::nullopt;
    if (count == 0) break;
    text.append(chunk.data(), static_cast<std::size_t>(count));
  }
  return text;
}

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
Result<Answer> ask_program(const std::string& folder, const std::string& program, const char* option,
                           const Plan& plan) {
  auto text = supervisor::capture(folder + "/" + program, {option, plan.pipeline.file}, kMaxListingBytes);
  if (!text) return tl::unexpected(text.error());
  auto answer = decode_fields<Answer>(*text, program + " " + option);
  if (!answer) return fail(Fault::kFatal, answer.error().text, kExitBug);
  return answer;
}

}  // namespace

Plan load_plan(const std::string& file) {
  Plan plan;
  std::optional<std::string> source = read_file(file);
  if (!source) {
    const char* why = std::strerror(errno);
    const char* hint = file == "-" ? "; a pipeline is read from a file, or from /dev/stdin" : "";
    plan.problems.push_back({file, {}, "", fmt::format("cannot be read: {}{}", why, hint)});
    return plan;
  }
  plan.text = *std::move(source);
  config::Parsed parsed = config::parse_pipeline(plan.text, file);
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

Result<proto::Listing> list_files(const std::string& program_folder, const Plan& plan) {
  return ask_program<proto::Listing>(program_folder, "leat-reader", "--list", plan);
}

Result<proto::FilterPlan> describe_filter(const std::string& program_folder, const Plan& plan) {
  return ask_program<proto::FilterPlan>(program_folder, "leat-filter", "--describe", plan);
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
      return "drop" + pointers(step.fields);
    case Step::Op::kKeep:
      return "keep only" + pointers(step.fields);
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
