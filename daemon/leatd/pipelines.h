// The pipelines of leatd: those that run, those that stop because their files have gone, and the files that cannot be used.
#pragma once

#include <chrono>
#include <list>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "daemon/leatd/runner.h"
#include "daemon/plan/plan.h"

namespace leat::leatd {

// What a reload did: of a pipeline started, changed, unchanged or removed; of a file refused.
struct Change {
  std::string_view result;
  std::string pipeline;  // its name; of what is refused the file
  std::string text;      // what is wrong, a line each
};

class Pipelines {
 public:
  // folders must outlive this.
  Pipelines(const Folders& folders, std::string program_folder)
      : folders_(folders), program_folder_(std::move(program_folder)) {}

  // Takes over what the files say now. A file that is wrong leaves what runs of it as it is; one that has gone takes its
  // pipeline with it, unless the folder could not be listed as a whole.
  std::vector<Change> apply(std::vector<plan::Candidate> candidates, bool whole);

  void add_to(proto::Poller& poller);
  std::chrono::milliseconds due() const;
  void step();
  void leave_all();
  void stop_all();
  void forget_stopped();  // those that have come to their end

  Runner* find(std::string_view name);  // nullptr: none that is to run
  const std::list<std::unique_ptr<Runner>>& running() const { return running_; }
  const std::vector<plan::Candidate>& refused() const { return refused_; }
  bool all_gone() const { return running_.empty() && removed_.empty(); }
  bool settled() const;

 private:
  using Runners = std::list<std::unique_ptr<Runner>>;
  template <class Do>
  void each(Do action) {
    for (Runners* list : {&running_, &removed_}) {
      for (auto& runner : *list) action(*runner);
    }
  }
  template <class Same>
  Runner* keep(Runners& before, Same same);
  Change refuse(plan::Candidate candidate, std::string_view more);
  // Whether leatd may open what all of them need with this plan in place of the one of the same name.
  Result<void> allow_descriptors(const plan::Plan& plan, const Runners& before) const;
  Change take(plan::Candidate candidate, Runners& before);
  Change start(plan::Plan plan);
  bool owns_name(const plan::Candidate& candidate);

  const Folders& folders_;
  std::string program_folder_;
  Runners running_;
  Runners removed_;
  std::vector<plan::Candidate> refused_;
};

}  // namespace leat::leatd
