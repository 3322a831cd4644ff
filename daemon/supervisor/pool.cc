#include "daemon/supervisor/pool.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>

#include "proto/dealer.h"

namespace leat::supervisor {

Pool::Pool(const Job& job)
    : job_(job),
      workers_(job.pipeline.process.workers),
      wanted_(!job.pipeline.has_processors() ? 0 : (job.follow ? workers_.min : workers_.max)),
      automatic_(workers_.automatic()),
      controller_(workers_.min, workers_.max) {}

Result<config::Budget> Pool::budget(int processors) const {
  return config::plan_budget(job_.pipeline, job_.in_file_bytes, std::max(processors, 1));
}

Result<std::optional<Pool::Change>> Pool::ask(int own, int joined) {
  if (!job_.pipeline.has_processors()) {
    return fail(Fault::kReject, fmt::format("{} has no steps, so no processors", job_.pipeline.name),
                kExitConfig);
  }
  if (auto room = budget(own + joined); !room) return tl::unexpected(room.error());
  automatic_ = false;
  return own == wanted_ ? std::nullopt : std::optional(change(own, "asked for"));
}

Result<void> Pool::automate() {
  if (!job_.pipeline.has_processors() || !workers_.automatic()) {
    return fail(Fault::kReject,
                fmt::format("{}: process.workers is not `auto` and has no min and max", job_.pipeline.file),
                kExitConfig);
  }
  automatic_ = true;
  controller_ = Controller(workers_.min, workers_.max);
  return {};
}

std::optional<Pool::Change> Pool::sample(Controller::View view, int joined) {
  view.own = wanted_;
  auto decision = controller_.update(view);
  if (!decision) return std::nullopt;
  if (decision->own > wanted_ && !budget(decision->own + joined)) {
    controller_.refused(view.now);
    return std::nullopt;
  }
  return change(decision->own, std::move(decision->reason));
}

int Pool::to_start(const Members& members, Clock::time_point now) const {
  if (now < start_at_) return 0;
  const int room = static_cast<int>(proto::Dealer::kMaxMembers) - static_cast<int>(members.workers);
  return std::max(std::min(wanted_ - members.own, room), 0);
}

void Pool::not_started(Clock::time_point now) {
  constexpr std::chrono::milliseconds kAgain{5'000};
  start_at_ = now + kAgain;
}

// It must be of our user: the memory of the batches is shared with no other.
std::string Pool::refusal(const Applicant& applicant, const Members& members) const {
  if (applicant.uid != ::geteuid()) {
    return fmt::format("it runs as uid {}, and its supervisor as uid {}: start it as the same user",
                       applicant.uid, ::geteuid());
  }
  if (applicant.stage != proto::Stage::kProcessor || !job_.pipeline.has_processors())
    return fmt::format("the pipeline {} has no steps, so no processors", job_.pipeline.name);
  if (applicant.version != LEAT_VERSION) {
    return fmt::format("it is of version {}, the supervisor of {}: install all programs of one release",
                       applicant.version, LEAT_VERSION);
  }
  if (auto room = budget(members.all() + 1); !room) return room.error().text;
  if (members.workers < proto::Dealer::kMaxMembers) return {};
  return fmt::format("the pipeline has {} workers already, which is the most", proto::Dealer::kMaxMembers);
}

std::optional<proto::WindowSize> Pool::window(int processors) const {
  if (processors == window_for_) return std::nullopt;
  auto room = budget(processors);
  if (!room) return std::nullopt;  // it was asked for before they came, so that is the smallest window
  return proto::WindowSize{room->window_bytes, static_cast<std::uint32_t>(room->window_batches)};
}

}  // namespace leat::supervisor
