#include "workers/stage/member.h"

#include <utility>

#include "config/budget.h"

namespace leat::stage {

using std::chrono::milliseconds;

namespace {

// A batch is made to take about 100 ms.
constexpr milliseconds kFinishBatch{300};

}  // namespace

std::uint64_t Member::max_message_bytes() const {
  // A grant, which is a quarter more than one record's results at the most, for records and rejects, and once more for the
  // table; the reader's batches may be twice their target.
  return 4 * (config::max_result_bytes(pipeline_) + pipeline_.limits.batch_bytes) + 64 * config::kKiB;
}

void Member::leave(bool rejoin) {
  leaving_ = true;
  rejoin_ = rejoin && !asked_to_leave_;
}

void Member::take_in(const proto::Control& control) {
  if (const auto* stop = std::get_if<proto::Stop>(&control)) {
    switch (stop->kind) {
      case proto::StopKind::kNow:
        leave(stop->rejoin);
        break;
      case proto::StopKind::kFinish:
        if (!finishing_since_) finishing_since_ = std::chrono::steady_clock::now();
        break;
      case proto::StopKind::kDrain:
        draining_ = true;
        break;
    }
  } else if (stage_ != nullptr) {
    stage_->on_control(control);
  } else if (!welcome_.pipeline_text.empty()) {
    early_controls_.push_back(control);
  }
}

bool Member::take_batches(Stage& stage, proto::Socket& input) {
  while (!leaving_ && stage.wants_batch()) {
    auto message = input.try_receive();
    if (!message) return true;
    stage.on_batch(*std::move(message));
    poll_control_at_times();
  }
  return false;
}

void Member::run(Stage& stage, proto::Socket* input) {
  stage_ = &stage;
  for (const auto& control : std::exchange(early_controls_, {})) stage.on_control(control);
  std::optional<proto::Loop::Id> source;
  if (input != nullptr) source = loop_.add(*input);
  while (!leaving_) {
    if (source) loop_.watch(*source, take_batches(stage, *input));
    auto wait = stage.on_idle();
    if (!wait || leaving_) break;
    if (!loop_.run_once(*wait)) stage.on_timer();
  }
  if (source) loop_.remove(*source);
}

void Member::wait_to_leave() {
  page_->enter(Activity::kIdle);
  while (!leaving_) loop_.run_once();
}

void Member::ready(std::string details_json) {
  page_->enter(Activity::kIdle);
  send_control(proto::Report{proto::ReportKind::kReady, 0, {}, std::move(details_json), false});
}

void Member::warn(const std::string& text) {
  send_control(proto::Report{proto::ReportKind::kWarning, 0, text, {}, false});
}

void Member::done(std::string details_json) {
  send_control(proto::Report{proto::ReportKind::kDone, 0, {}, std::move(details_json), false});
}

bool Member::finishing_is_late() const {
  return finishing_since_ && std::chrono::steady_clock::now() - *finishing_since_ >= kFinishBatch;
}

void Member::finished() {
  if (std::exchange(finished_, true)) return;
  send_control(proto::Report{proto::ReportKind::kFinished, 0, {}, {}, false});
}

}  // namespace leat::stage
