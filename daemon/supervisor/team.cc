#include "daemon/supervisor/team.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <memory>
#include <utility>

namespace leat::supervisor {

using proto::Stage;

std::string Worker::title() const {
  return fmt::format("{} {} (pid {})", program_name(seat.stage), seat.index, child ? child->pid() : 0);
}

std::string Worker::at() const {
  if (!page) return {};
  std::string text = page->text();
  std::uint64_t sequence = (*page)->sequence.load(std::memory_order_relaxed);
  if (!text.empty() || sequence == 0) return text;
  return fmt::format("batch {} of source {}", sequence, (*page)->source.load(std::memory_order_relaxed));
}

Team::Team(const config::Pipeline& pipeline, std::string runtime, std::string program_folder)
    : pipeline_(pipeline),
      runtime_(std::move(runtime)),
      program_folder_(std::move(program_folder)),
      layout_(pipeline, runtime_, generation_) {
  for (const Seat& seat : seats(pipeline)) workers_.emplace_back().seat = seat;
  for (Worker& worker : workers_) start(worker);
}

Team::~Team() = default;

void Team::start(Worker& worker) {
  Worker fresh;
  fresh.seat = worker.seat;
  fresh.instance = ++last_instance_;
  fresh.started = Clock::now();
  // A sink may be /dev/stdout; nobody else has anything to say there.
  auto out = fresh.seat.stage == Stage::kWriter ? Child::Stdout::kInherit : Child::Stdout::kNull;
  std::string program = program_folder_ + "/" + program_name(fresh.seat.stage);
  fresh.child.emplace(
      Child::start(program,
                   {"--control", layout_.control(), "--runtime", runtime_, "--index",
                    std::to_string(fresh.seat.index), "--instance", std::to_string(fresh.instance)},
                   out));
  std::destroy_at(&worker);
  std::construct_at(&worker, std::move(fresh));
}

void Team::start_again(Worker& worker) {
  if (worker.page && worker.seat.stage == Stage::kFilter) bytes_before_ += (*worker.page)->bytes_in;
  remove_page(worker);
  start(worker);
}

void Team::start_all_again() {
  for (Worker& worker : workers_) {
    if (worker.page && worker.seat.stage == Stage::kFilter) bytes_before_ += (*worker.page)->bytes_in;
    remove_page(worker);
    if (!worker.running()) continue;
    worker.child->kill();
    leaving_.push_back(std::move(*worker.child));
    worker.child.reset();
  }
  ++generation_;
  std::destroy_at(&layout_);
  std::construct_at(&layout_, pipeline_, runtime_, generation_);
  for (Worker& worker : workers_) start(worker);
}

void Team::remove_page(const Worker& worker) const {
  ::unlink(layout_.page(worker.seat, worker.instance).c_str());
}

Worker* Team::find(const Seat& seat) {
  auto found =
      std::find_if(workers_.begin(), workers_.end(), [&](const Worker& w) { return w.seat == seat; });
  return found == workers_.end() ? nullptr : &*found;
}

Worker* Team::find(const Name& name) {
  Worker* worker = find(name.seat);
  return worker != nullptr && worker->instance == name.instance ? worker : nullptr;
}

bool Team::all_but_reader_ready() const {
  return std::all_of(workers_.begin(), workers_.end(),
                     [](const Worker& w) { return w.ready || w.seat.stage == Stage::kReader; });
}

bool Team::anyone_left() const {
  return !leaving_.empty() ||
         std::any_of(workers_.begin(), workers_.end(), [](const Worker& w) { return w.running(); });
}

void Team::watch(proto::Poller& poller) {
  for (const Worker& worker : workers_) {
    if (worker.running()) poller.add(worker.child->pidfd());
  }
}

void Team::reap() {
  for (Worker& worker : workers_) {
    if (worker.running() && worker.child->reap()) worker.ended = Clock::now();
  }
  std::vector<Child> left;
  for (Child& child : leaving_) {
    if (!child.reap()) left.push_back(std::move(child));
  }
  leaving_ = std::move(left);
}

bool Team::tell(const Worker& worker, const proto::Control& message, proto::Socket& control) const {
  proto::Message bytes = encode(message);
  return control.try_send(worker_name(worker.seat, worker.instance), bytes);
}

void Team::dismiss(proto::Socket& control) {
  for (Worker& worker : workers_) {
    if (worker.told_to_leave || !worker.running()) continue;
    if (!worker.page) {
      worker.child->kill();
      worker.told_to_leave = true;
      continue;
    }
    worker.told_to_leave = tell(worker, proto::Stop{false}, control);
  }
}

void Team::kill() {
  for (Worker& worker : workers_) {
    if (worker.child) worker.child->kill();
  }
}

void Team::count(Snapshot& snapshot) const {
  std::vector<StageShares> shares;
  std::uint64_t now = stage::monotonic_ns();
  snapshot.bytes_in = bytes_before_;
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
    if (worker.running()) total += pss_bytes(worker.child->pid());
  }
  return total;
}

void Team::welcome_endpoints(proto::Welcome& welcome, const Worker& worker) const {
  layout_.fill(welcome, worker.seat, [this](const Seat& seat) {
    for (const Worker& other : workers_) {
      if (other.seat == seat) return other.instance;
    }
    return 0U;
  });
}

}  // namespace leat::supervisor
