#include "daemon/supervisor/scaling.h"

namespace leat::supervisor {

using proto::Stage;

Controller::View Scaling::view_of(const std::list<Worker>& workers, Clock::time_point now) const {
  Controller::View view;
  view.now = now;
  view.own = wanted_;
  int filters = 0;
  for (const Worker& worker : workers) {
    const StageShares& shares = worker.recent.shares;
    if (worker.slot.stage == Stage::kWriter) view.writer_busy = shares.busy;
    if (worker.slot.stage == Stage::kFilter) {
      view.blocked_before += shares.blocked;
      ++filters;
    }
    if (worker.slot.stage != Stage::kProcessor || worker.draining) continue;
    ++view.workers;
    view.busy += shares.busy;
    view.delivered += worker.recent.new_records > 0 ? 1 : 0;
    view.records += static_cast<double>(worker.recent.new_records);
    view.service_s += static_cast<double>(worker.recent.new_service_ns) / 1e9;
  }
  view.busy = view.workers == 0 ? 1 : view.busy / view.workers;
  view.blocked_before /= std::max(filters, 1);
  return view;
}

}  // namespace leat::supervisor
