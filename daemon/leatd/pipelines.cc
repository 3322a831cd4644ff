#include "daemon/leatd/pipelines.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "config/text.h"
#include "daemon/leatd/loader.h"
#include "daemon/leatd/status.h"
#include "workers/ledger/ledger.h"
#include "workers/stage/limits.h"

namespace leat::leatd {

using std::chrono::milliseconds;

namespace {

// Also the files of its sets: who changes a list of hosts reloads to have it used.
bool is_same(const plan::Plan& running, const plan::Plan& plan) {
  return running.pipeline == plan.pipeline && running.in_file_state == plan.in_file_state;
}

auto named(std::string_view name) {
  return [name](const std::unique_ptr<Runner>& runner) { return runner->name() == name; };
}

}  // namespace

// One of those of before that continues; nullptr: there is none.
template <class Same>
Runner* Pipelines::keep(Runners& before, Same same) {
  auto found = std::find_if(before.begin(), before.end(), same);
  if (found == before.end()) return nullptr;
  running_.splice(running_.end(), before, found);
  return running_.back().get();
}

Change Pipelines::refuse(plan::Candidate candidate, std::string_view more) {
  Change change{"refused", candidate.file, problems_of(candidate) + std::string(more)};
  refused_.push_back(std::move(candidate));
  return change;
}

Result<void> Pipelines::allow_descriptors(const plan::Plan& plan, const Runners& before) const {
  std::uint64_t needed = stage::kDescriptorsOfLeatd + stage::descriptors_of_supervisor(plan.pipeline);
  for (const Runners* list : {&running_, &removed_, &before}) {
    for (const auto& runner : *list) {
      if (runner->name() != plan.pipeline.name)
        needed += stage::descriptors_of_supervisor(runner->newest_plan().pipeline);
    }
  }
  return stage::allow_descriptors(needed);
}

// One that has not ended yet and is wanted again continues, with what its file says now.
Change Pipelines::start(plan::Plan plan) {
  std::string name = plan.pipeline.name;
  auto leaving = std::find_if(removed_.begin(), removed_.end(), named(name));
  if (leaving == removed_.end()) {
    running_.push_back(std::make_unique<Runner>(std::move(plan), folders_, program_folder_));
  } else {
    (*leaving)->resume();
    (*leaving)->swap(std::move(plan));
    running_.splice(running_.end(), removed_, leaving);
  }
  return {"started", std::move(name), {}};
}

// Of two files with one name the one that runs keeps it; when none does, the one that the state belongs to.
bool Pipelines::owns_name(const plan::Candidate& candidate) {
  if (!candidate.plan.problems.empty()) return false;
  const std::string& name = candidate.plan.pipeline.name;
  if (const Runner* runner = find(name)) return runner->newest_plan().pipeline.file == candidate.file;
  auto view = ledger::View::open(folders_.state + "/" + name);
  if (!view || !*view) return false;
  auto file = (*view)->file();
  return file && *file == candidate.file;
}

Change Pipelines::take(plan::Candidate candidate, Runners& before) {
  const std::string& file = candidate.file;
  if (!candidate.plan.problems.empty()) {
    bool runs = keep(before, [&](const auto& runner) {
                  return runner->newest_plan().pipeline.file == file;
                }) != nullptr;
    return refuse(std::move(candidate), runs ? "\nwhat ran before continues" : "");
  }
  std::string name = candidate.plan.pipeline.name;
  Runner* old = keep(before, named(name));
  if (old != nullptr && is_same(old->newest_plan(), candidate.plan)) {
    old->try_again();
    return {"unchanged", std::move(name), {}};
  }
  if (auto allowed = allow_descriptors(candidate.plan, before); !allowed) {
    candidate.plan.problems.push_back({file, {}, "", allowed.error().text});
    return refuse(std::move(candidate), old != nullptr ? "\nwhat ran before continues" : "");
  }
  if (old == nullptr) {
    const Runner* other = find(name);
    if (other == nullptr) return start(std::move(candidate.plan));
    // The file of that one is wrong now, and what ran of it before continues.
    candidate.plan.problems.push_back(
        {file,
         {},
         "name",
         fmt::format("{} is {}'s already", config::in_quotes(name), other->newest_plan().pipeline.file)});
    return refuse(std::move(candidate), "");
  }
  old->swap(std::move(candidate.plan));
  return {"changed", std::move(name), {}};
}

std::vector<Change> Pipelines::apply(std::vector<plan::Candidate> candidates, bool whole) {
  refuse_what_ends(candidates);
  std::stable_partition(candidates.begin(), candidates.end(),
                        [this](const plan::Candidate& candidate) { return owns_name(candidate); });
  plan::check_together(candidates);
  std::sort(candidates.begin(), candidates.end(),
            [](const plan::Candidate& a, const plan::Candidate& b) { return a.file < b.file; });
  refused_.clear();
  std::vector<Change> changes;
  changes.reserve(candidates.size());
  Runners before;
  before.swap(running_);
  for (plan::Candidate& candidate : candidates) changes.push_back(take(std::move(candidate), before));
  if (!whole) running_.splice(running_.end(), before);
  for (auto& runner : before) {
    changes.push_back({"removed", runner->name(), {}});
    runner->stop();
  }
  removed_.splice(removed_.end(), before);
  return changes;
}

void Pipelines::add_to(proto::Poller& poller) {
  each([&](Runner& runner) { runner.add_to(poller); });
}

milliseconds Pipelines::due() const {
  milliseconds due = milliseconds::max();
  for (const Runners* list : {&running_, &removed_}) {
    for (const auto& runner : *list) due = std::min(due, runner->due());
  }
  return due;
}

void Pipelines::step() {
  each([](Runner& runner) { runner.step(); });
  removed_.remove_if([](const auto& runner) { return runner->stopped(); });
}

void Pipelines::leave_all() {
  each([](Runner& runner) { runner.leave(); });
}

void Pipelines::stop_all() {
  each([](Runner& runner) { runner.stop(); });
}

void Pipelines::forget_stopped() {
  running_.remove_if([](const auto& runner) { return runner->stopped(); });
}

Runner* Pipelines::find(std::string_view name) {
  auto found = std::find_if(running_.begin(), running_.end(), named(name));
  return found == running_.end() ? nullptr : found->get();
}

bool Pipelines::settled() const {
  return std::all_of(running_.begin(), running_.end(), [](const auto& runner) { return runner->settled(); });
}

}  // namespace leat::leatd
