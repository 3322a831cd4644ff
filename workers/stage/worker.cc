#include "workers/stage/worker.h"

#include <fmt/format.h>
#include <poll.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <utility>

#include "config/budget.h"
#include "proto/base/text.h"
#include "workers/stage/service.h"

namespace leat::stage {

namespace {

using std::chrono::milliseconds;

// A batch is made to take about 100 ms.
constexpr milliseconds kFinishBatch{300};

}  // namespace

std::uint64_t Worker::max_message_bytes() const {
  // A grant, which is a quarter more than one record's results at the most, for records and rejects, and once more for the
  // table; the reader's batches may be twice their target.
  return 4 * (config::max_result_bytes(pipeline()) + pipeline().limits.batch_bytes) + 64 * config::kKiB;
}

void Worker::add_to(proto::Poller& poller) {
  poller.add(*control_);
  poller.add(signals_.get());
  if (supervisor_) poller.add(supervisor_.get());
}

void Worker::leave(bool rejoin) {
  leaving_ = true;
  rejoin_ = rejoin && !asked_to_leave_;
}

// Told to go by a person or systemd. One that joined asks its supervisor first, so that nothing is dealt to it any more;
// the second signal is meant.
void Worker::on_signal() {
  if (join_.empty() || asked_to_leave_ || !page_) return leave(false);
  asked_to_leave_ = true;
  say("leaving when it is drained (a second signal: at once)");
  notify_service_manager("STOPPING=1\nSTATUS=draining");
  send(proto::Report{proto::ReportKind::kLeave, 0, {}, {}, false});
}

void Worker::say(const std::string& text) const {
  fmt::print(stderr, "leat-{}: {}\n", proto::to_string(role_), printable(text));
}

void Worker::poll_control() {
  polled_ns_ = monotonic_ns();
  signalfd_siginfo info{};
  while (::read(signals_.get(), &info, sizeof(info)) == sizeof(info)) on_signal();
  while (auto message = control_ ? control_->try_receive() : std::nullopt) {
    auto control = proto::decode_control(message->view());
    if (control) {
      take_in(*control);
    } else {
      say(control.error().text);
    }
  }
  if (!supervisor_ || leaving_) return;
  pollfd gone{supervisor_.get(), POLLIN, 0};
  if (::poll(&gone, 1, 0) == 1) leave(true);
}

void Worker::take_in(const proto::Control& control) {
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
  } else if (const auto* welcome = std::get_if<proto::Welcome>(&control); welcome && !welcome_) {
    welcome_ = *welcome;
  } else if (const auto* refusal = std::get_if<proto::Refusal>(&control)) {
    refusal_ = refusal->text;
  } else if (on_control_) {
    on_control_(control);
  } else if (welcome_) {
    early_controls_.push_back(control);
  }
}

void Worker::on_control(std::function<void(const proto::Control&)> on_control) {
  on_control_ = std::move(on_control);
  for (const auto& control : std::exchange(early_controls_, {})) on_control_(control);
}

void Worker::send(const proto::Control& control) {
  if (!control_) return;
  proto::Message message = proto::encode(control);
  // The supervisor always receives; a full queue means that it has gone, and then there is nothing to report to.
  static_cast<void>(control_->try_send(message));
}

void Worker::ready(std::string details_json) {
  page_->enter(Activity::kIdle);
  if (!join_.empty()) {
    say(fmt::format("joined {} as processor {}", pipeline().name, index_));
    notify_service_manager(fmt::format("READY=1\nSTATUS=processor {} of {}", index_, pipeline().name));
  }
  send(proto::Report{proto::ReportKind::kReady, 0, {}, std::move(details_json), false});
}

void Worker::warn(const std::string& text) {
  send(proto::Report{proto::ReportKind::kWarning, 0, text, {}, false});
}

void Worker::done(std::string details_json) {
  send(proto::Report{proto::ReportKind::kDone, 0, {}, std::move(details_json), false});
}

bool Worker::finishing_is_late() const {
  return finishing_since_ && std::chrono::steady_clock::now() - *finishing_since_ >= kFinishBatch;
}

void Worker::finished() {
  if (std::exchange(finished_, true)) return;
  send(proto::Report{proto::ReportKind::kFinished, 0, {}, {}, false});
}

void Worker::wait_to_leave() {
  page_->enter(Activity::kIdle);
  proto::Poller poller;
  add_to(poller);
  while (!leaving_) {
    poller.wait(milliseconds(-1));
    poll_control();
  }
}

}  // namespace leat::stage
