#include "workers/stage/worker.h"

#include <fmt/format.h>
#include <poll.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <utility>

#include "proto/base/text.h"
#include "workers/stage/service.h"

namespace leat::stage {

// Told to go by a person or systemd. One that joined asks its supervisor first, so that nothing is dealt to it any more;
// the second signal is meant.
void Worker::on_signal() {
  if (join_.empty() || asked_to_leave_ || !page_) return leave(false);
  asked_to_leave_ = true;
  say("leaving when it is drained (a second signal: at once)");
  notify_service_manager("STOPPING=1\nSTATUS=draining");
  send_control(proto::Report{proto::ReportKind::kLeave, 0, {}, {}, false});
}

void Worker::say(const std::string& text) const {
  fmt::print(stderr, "leat-{}: {}\n", proto::to_string(role_), printable(text));
}

void Worker::poll_control() {
  Member::poll_control();
  signalfd_siginfo info{};
  while (::read(signals_.get(), &info, sizeof(info)) == sizeof(info)) on_signal();
  while (auto message = control_ ? control_->try_receive() : std::nullopt) {
    auto control = proto::decode_control(message->view());
    const auto* welcome = control ? std::get_if<proto::Welcome>(&*control) : nullptr;
    if (!control) {
      say(control.error().text);
    } else if (welcome != nullptr && welcome_.pipeline_text.empty()) {
      welcome_ = *welcome;
    } else if (const auto* refusal = std::get_if<proto::Refusal>(&*control)) {
      refusal_ = refusal->text;
    } else {
      take_in(*control);
    }
  }
  if (!supervisor_ || leaving_) return;
  pollfd gone{supervisor_.get(), POLLIN, 0};
  if (::poll(&gone, 1, 0) == 1) leave(true);
}

void Worker::send_control(const proto::Control& control) {
  if (!control_) return;
  proto::Message message = proto::encode(control);
  // The supervisor always receives; a full queue means that it has gone, and then there is nothing to report to.
  static_cast<void>(control_->try_send(message));
}

void Worker::ready(std::string details_json) {
  if (!join_.empty()) {
    say(fmt::format("joined {} as processor {}", pipeline_.name, index_));
    notify_service_manager(fmt::format("READY=1\nSTATUS=processor {} of {}", index_, pipeline_.name));
  }
  Member::ready(std::move(details_json));
}

}  // namespace leat::stage
