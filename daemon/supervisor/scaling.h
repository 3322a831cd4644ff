// How many processors a run is to have of its own: so many as were asked for, or as its controller decides.
#pragma once

#include <algorithm>
#include <functional>
#include <list>
#include <optional>
#include <string>
#include <utility>

#include "config/pipeline.h"
#include "daemon/supervisor/controller.h"
#include "daemon/supervisor/team.h"

namespace leat::supervisor {

class Scaling {
 public:
  struct Change {
    int from = 0;
    int to = 0;
    std::string reason;
  };

  // A run that ends has no time to grow, and begins with the most.
  Scaling(const config::Pipeline& pipeline, bool follow)
      : workers_(pipeline.process.workers),
        wanted_(!pipeline.has_processors() ? 0 : (follow ? workers_.min : workers_.max)),
        automatic_(workers_.automatic()),
        controller_(workers_.min, workers_.max) {}

  int wanted() const { return wanted_; }
  bool automatic() const { return automatic_; }

  // So many, and the controller decides no more. nullopt: that is no change.
  std::optional<Change> ask(int own) {
    automatic_ = false;
    return own == wanted_ ? std::nullopt : std::optional(change(own, "asked for"));
  }
  // The controller decides, and begins with no memory. Precondition: workers have a min and a max.
  void automate() {
    automatic_ = true;
    controller_ = Controller(workers_.min, workers_.max);
  }
  // Asks the controller, once in Controller::kInterval. Worker::recent must be of now. has_room: for so many of our own.
  std::optional<Change> sample(const std::list<Worker>& workers, Clock::time_point now,
                               const std::function<bool(int)>& has_room) {
    auto decision = controller_.update(view_of(workers, now));
    if (!decision) return std::nullopt;
    if (decision->own > wanted_ && !has_room(decision->own)) {
      controller_.refused(now);
      return std::nullopt;
    }
    return change(decision->own, std::move(decision->reason));
  }

 private:
  Controller::View view_of(const std::list<Worker>& workers, Clock::time_point now) const;
  Change change(int own, std::string reason) { return {std::exchange(wanted_, own), own, std::move(reason)}; }

  config::Workers workers_;
  int wanted_;
  bool automatic_;
  Controller controller_;
};

}  // namespace leat::supervisor
