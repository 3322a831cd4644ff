// A pipeline file, read and worked out as far as that goes without running it: what check, explain and run
// start from.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "config/budget.h"
#include "config/yaml/parse.h"
#include "proto/base/result.h"
#include "proto/explain.h"
#include "workers/stage/briefing.h"

namespace leat::plan {

struct Plan {
  config::Pipeline pipeline;
  config::Budget budget;
  std::uint64_t in_file_bytes = 0;  // of the files behind in_file and not_in_file
  std::string in_file_state;        // sizes and times of these: another text when one of them has changed
  std::vector<config::Problem> problems;  // not empty: nothing else here counts
};

// Also looks whether the files of in_file and not_in_file are there and whether the budget adds up.
Plan load_plan(const std::string& file);

// A file and what is in it.
struct Candidate {
  std::string file;
  Plan plan;
};

// Adds the problems that no file has alone: a name, a sink or a dead-letter file that one before it in the list has already.
void check_together(std::vector<Candidate>& candidates);

// What the program leat-ROLE beside this one answers to `question`, one of its options, about the pipeline of the briefing.
[[nodiscard]] Result<std::string> ask_worker(std::string_view role, const char* question,
                                             const stage::Briefing& briefing);

// What the reader and the filter say of it. kFatal, 70: another program than this one's.
[[nodiscard]] Result<proto::Listing> list_files(const Plan& plan);
[[nodiscard]] Result<proto::FilterPlan> describe_filter(const Plan& plan);

// A step as one line: "rename /path to /source".
std::string describe(const config::Step& step);

}  // namespace leat::plan
