#include "daemon/supervisor/team.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>

namespace leat::supervisor {

using proto::Stage;

std::string Worker::title() const {
  return fmt::format("{} {} (pid {})", program_name(seat.stage), seat.index, child.pid());
}

std::string Worker::at() const {
  if (!page) return {};
  std::string text = page->text();
  std::uint64_t sequence = (*page)->sequence.load(std::memory_order_relaxed);
  if (!text.empty() || sequence == 0) return text;
  return fmt::format("batch {} of source {}", sequence, (*page)->source.load(std::memory_order_relaxed));
}

Team::Team(const config::Pipeline& pipeline, const Layout& layout, const std::string& runtime,
           const std::string& program_folder) {
  for (const Seat& seat : seats(pipeline)) {
    // A sink may be /dev/stdout; nobody else has anything to say there.
    auto out = seat.stage == Stage::kWriter ? Child::Stdout::kInherit : Child::Stdout::kNull;
    std::string program = program_folder + "/" + program_name(seat.stage);
    workers_.push_back(Worker{seat,
                              Child::start(program,
                                           {"--control", layout.control(), "--runtime", runtime, "--index",
                                            std::to_string(seat.index)},
                                           out),
                              std::nullopt});
  }
}

Worker* Team::find(const Seat& seat) {
  auto found =
      std::find_if(workers_.begin(), workers_.end(), [&](const Worker& w) { return w.seat == seat; });
  return found == workers_.end() ? nullptr : &*found;
}

bool Team::all_but_reader_ready() const {
  return std::all_of(workers_.begin(), workers_.end(),
                     [](const Worker& w) { return w.ready || w.seat.stage == Stage::kReader; });
}

bool Team::anyone_left() const {
  return std::any_of(workers_.begin(), workers_.end(), [](const Worker& w) { return w.child.running(); });
}

void Team::watch(proto::Poller& poller) {
  for (const Worker& worker : workers_) {
    if (worker.child.running()) poller.add(worker.child.pidfd());
  }
}

void Team::reap() {
  for (Worker& worker : workers_) {
    if (worker.child.running() && worker.child.reap()) worker.ended = Clock::now();
  }
}

void Team::dismiss(proto::Socket& control) {
  for (Worker& worker : workers_) {
    if (worker.told_to_leave || !worker.child.running()) continue;
    if (!worker.page) {
      worker.child.kill();
      worker.told_to_leave = true;
      continue;
    }
    proto::Message stop = encode(proto::Control{proto::Stop{false}});
    worker.told_to_leave = control.try_send(seat_name(worker.seat), stop);
  }
}

void Team::kill() {
  for (Worker& worker : workers_) worker.child.kill();
}

void Team::count(Snapshot& snapshot) const {
  std::vector<StageShares> shares;
  std::uint64_t now = stage::monotonic_ns();
  for (const Worker& worker : workers_) {
    if (!worker.page) continue;
    add_page(snapshot, worker.seat.stage, *worker.page);
    shares.push_back(shares_of(worker.seat.stage, *worker.page, now));
  }
  snapshot.stages = mean_by_stage(shares);
}

std::uint64_t Team::memory_bytes() const {
  std::uint64_t total = pss_bytes(::getpid());
  for (const Worker& worker : workers_) {
    if (worker.child.running()) total += pss_bytes(worker.child.pid());
  }
  return total;
}

}  // namespace leat::supervisor
