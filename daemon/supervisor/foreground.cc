#include "daemon/supervisor/signals.h"
#include "daemon/supervisor/supervisor.h"

namespace leat::supervisor {

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
