#include "daemon/supervisor/supervisor.h"

#include "daemon/supervisor/loop.h"
#include "daemon/supervisor/signals.h"

namespace leat::supervisor {

Supervisor::Supervisor(const Job& job, Observer& observer) : loop_(std::make_unique<Loop>(job, observer)) {}
Supervisor::~Supervisor() = default;

void Supervisor::add_to(proto::Poller& poller) {
  loop_->add_to(poller);
}
std::chrono::milliseconds Supervisor::due() const {
  return loop_->due();
}
void Supervisor::step() {
  loop_->step();
}
bool Supervisor::over() const {
  return loop_->over();
}
Outcome Supervisor::take_outcome() {
  return loop_->take_outcome();
}
std::vector<Child> Supervisor::take_leftovers() {
  return loop_->take_leftovers();
}
void Supervisor::drain() {
  loop_->drain();
}
void Supervisor::stop() {
  loop_->stop();
}
void Supervisor::leave() {
  loop_->leave();
}
void Supervisor::pause(bool on) {
  loop_->pause(on);
}
Result<void> Supervisor::scale(int processors) {
  return loop_->scale(processors);
}
Result<void> Supervisor::scale_automatically() {
  return loop_->scale_automatically();
}
Status Supervisor::status() const {
  return loop_->status();
}

Outcome run_in_foreground(const Job& job, Observer& observer) {
  Signals signals;
  Supervisor supervisor(job, observer);
  StopRequests requests;
  while (!supervisor.over()) {
    proto::Poller poller;
    poller.add(signals.fd());
    supervisor.add_to(poller);
    poller.wait(supervisor.due());
    auto [stops, hangups] = signals.take();
    switch (requests.take(stops + hangups > 0)) {
      case StopRequests::kNone:
        break;
      case StopRequests::kFirst:
        observer.note("stopping", "stopping: finishing the records at hand (a second signal stops at once)");
        supervisor.stop();
        break;
      case StopRequests::kAgain:
        supervisor.leave();
        break;
    }
    supervisor.step();
  }
  return supervisor.take_outcome();
}

}  // namespace leat::supervisor
