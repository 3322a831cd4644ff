#include "daemon/supervisor/team.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <memory>
#include <system_error>
#include <utility>

namespace leat::supervisor {

using proto::Stage;

std::string Worker::title() const {
  return fmt::format("{} {} (pid {})", program_name(slot.stage), slot.index, child ? child->pid() : 0);
}

std::string Worker::activity() const {
  if (!page) return {};
  std::string text = page->text();
  std::uint64_t sequence = read((*page)->sequence);
  if (!text.empty() || sequence == 0) return text;
  return fmt::format("batch {} of source {}", sequence, read((*page)->source));
}

std::string Worker::fate() const {
  return killed_for.empty() ? child->fate() : killed_for;
}

std::string Worker::obituary() const {
  std::string at = activity();
  return fmt::format("{} {}.{}", title(), fate(), at.empty() ? "" : fmt::format(" Its activity: {}.", at));
}

bool Worker::idle_for(std::chrono::milliseconds time) const {
  if (!is_ready() || !page) return false;
  const stage::Page& now = **page;
  auto idle = static_cast<std::uint32_t>(stage::Activity::kIdle);
  auto time_ns = static_cast<std::uint64_t>(std::chrono::nanoseconds(time).count());
  return read(now.activity) == idle && stage::monotonic_ns() >= read(now.activity_since_ns) + time_ns;
}

Team::Team(const config::Pipeline& pipeline, std::string runtime, std::string program_folder, int processors,
           proto::Socket& control)
    : pipeline_(pipeline),
      runtime_(std::move(runtime)),
      program_folder_(std::move(program_folder)),
      control_(control),
      layout_(pipeline, runtime_, generation_) {
  for (const Slot& slot : slots(pipeline, processors)) workers_.emplace_back().slot = slot;
  for (Worker& worker : workers_) start(worker);
}

void Team::start(Worker& worker) {
  Worker fresh;
  fresh.slot = worker.slot;
  fresh.instance = ++last_instance_;
  fresh.identity = worker_name(fresh.slot, fresh.instance);
  fresh.started = Clock::now();
  // A sink may be /dev/stdout; no other process has anything to write there.
  auto out = fresh.slot.stage == Stage::kWriter ? Child::kInherit : Child::kNull;
  std::string program = program_folder_ + "/" + program_name(fresh.slot.stage);
  fresh.child.emplace(
      Child::start(program,
                   {"--control", layout_.control(), "--runtime", runtime_, "--index",
                    std::to_string(fresh.slot.index), "--instance", std::to_string(fresh.instance)},
                   out));
  std::destroy_at(&worker);
  std::construct_at(&worker, std::move(fresh));
}

// Between the other processors and the writer, in the order of the indices.
std::list<Worker>::iterator Team::new_slot() {
  Slot slot{Stage::kProcessor, 0};
  while (std::ranges::find(workers_, slot, &Worker::slot) != workers_.end()) ++slot.index;
  auto before = std::ranges::find_if(workers_, [&](const Worker& w) {
    return w.slot.stage > slot.stage || (w.slot.stage == slot.stage && w.slot.index > slot.index);
  });
  auto added = workers_.emplace(before);
  added->slot = slot;
  return added;
}

void Team::add_processor() {
  auto added = new_slot();
  try {
    start(*added);
  } catch (...) {
    workers_.erase(added);
    throw;
  }
}

Worker& Team::admit(const std::string& identity, Child child, Fd memory) {
  Worker& worker = *new_slot();
  worker.instance = ++last_instance_;
  worker.joined = true;
  worker.state.enter(WorkerState::kGreeted);
  worker.identity = identity;
  worker.started = Clock::now();
  worker.child.emplace(std::move(child));
  worker.memory = std::move(memory);
  return worker;
}

void Team::remove(const Worker& worker) {
  remove_files(worker);
  workers_.remove_if([&](const Worker& other) { return &other == &worker; });
}

void Team::start_again(Worker& worker) {
  if (worker.page && worker.slot.stage == Stage::kFilter) bytes_before_ += (*worker.page)->bytes_in;
  remove_files(worker);
  start(worker);
}

void Team::start_all_again() {
  for (Worker& worker : workers_) {
    if (worker.page && worker.slot.stage == Stage::kFilter) bytes_before_ += (*worker.page)->bytes_in;
    remove_files(worker);
    if (!worker.running()) continue;
    if (worker.joined) {
      static_cast<void>(send(worker, proto::Stop{proto::StopKind::kNow, true}));
      continue;
    }
    worker.child->kill();
    leaving_.push_back(std::move(*worker.child));
    worker.child.reset();
  }
  workers_.remove_if([](const Worker& worker) { return worker.joined || worker.draining; });
  remove_sockets();
  ++generation_;
  std::destroy_at(&layout_);
  std::construct_at(&layout_, pipeline_, runtime_, generation_);
  for (Worker& worker : workers_) start(worker);
}

// What the worker would have removed itself, had it not been killed.
void Team::remove_files(const Worker& worker) const {
  ::unlink(layout_.page(worker.slot, worker.instance).c_str());
  if (std::string socket = layout_.socket(worker.slot, worker.instance); !socket.empty())
    ::unlink(socket.c_str());
}

// Those of the sockets that belong to no one worker are left too. A processor that joined may still hold one: it needs its name no more.
void Team::remove_sockets() const {
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(runtime_, error)) {
    if (entry.path().filename().string().starts_with(layout_.mark())) ::unlink(entry.path().c_str());
  }
}

Worker* Team::find(const std::string& identity) {
  auto found = std::ranges::find(workers_, identity, &Worker::identity);
  return found == workers_.end() ? nullptr : &*found;
}

Worker* Team::running_as(pid_t pid) {
  auto found = std::ranges::find_if(workers_, [&](auto& w) { return w.running() && w.child->pid() == pid; });
  return found == workers_.end() ? nullptr : &*found;
}

bool Team::all_but_reader_ready() const {
  return std::ranges::all_of(
      workers_, [](const Worker& w) { return w.is_ready() || w.joined || w.slot.stage == Stage::kReader; });
}

Pool::Members Team::members() const {
  Pool::Members members{0, 0, workers_.size()};
  for (const Worker& worker : workers_) {
    if (worker.slot.stage == Stage::kProcessor && !worker.draining)
      ++(worker.joined ? members.joined : members.own);
  }
  return members;
}

bool Team::anyone_left() const {
  return !leaving_.empty() || std::ranges::any_of(workers_, [](const Worker& w) {
    return w.running() && !(w.joined && w.state == WorkerState::kDismissed);
  });
}

void Team::watch(proto::Poller& poller) {
  for (const Worker& worker : workers_) {
    if (worker.running()) poller.add(worker.child->pidfd());
  }
}

void Team::reap() {
  for (Worker& worker : workers_) {
    if (!worker.running() || !worker.child->reap()) continue;
    worker.ended = Clock::now();
    const bool expected = worker.state == WorkerState::kLeaving || worker.state == WorkerState::kDismissed;
    worker.state.enter(expected ? WorkerState::kLeft : WorkerState::kDied);
  }
  std::erase_if(leaving_, [](Child& child) { return child.reap(); });
}

bool Team::send(const Worker& worker, const proto::Control& message) const {
  proto::Message bytes = encode(message);
  return control_.try_send(worker.identity, bytes);
}

void Team::send_to_reader(const proto::Control& message) const {
  if (reader().is_welcomed()) static_cast<void>(send(reader(), message));
}

std::vector<const Worker*> Team::dealers_of(const Worker& worker) const {
  std::vector<const Worker*> dealers;
  for (const Worker& other : workers_) {
    if (layout_.dealer_of(worker.slot.stage) == other.slot.stage && other.is_welcomed() && other.running())
      dealers.push_back(&other);
  }
  return dealers;
}

void Team::send_to_dealers(const Worker& worker, const proto::Control& news) const {
  for (const Worker* dealer : dealers_of(worker)) static_cast<void>(send(*dealer, news));
}

void Team::dismiss() {
  for (Worker& worker : workers_) {
    if (worker.state == WorkerState::kDismissed || !worker.running()) continue;
    if (!worker.page && !worker.joined) {
      worker.child->kill();
      worker.state.enter(WorkerState::kDismissed);
    } else if (send(worker, proto::Stop{proto::StopKind::kNow, worker.joined})) {
      worker.state.enter(WorkerState::kDismissed);
    }
  }
}

void Team::kill() {
  for (Worker& worker : workers_) {
    if (worker.child && !worker.joined) worker.child->kill();
  }
}

std::vector<Child> Team::take_leftovers() {
  for (Worker& worker : workers_) {
    if (!worker.running() || worker.joined) continue;
    leaving_.push_back(std::move(*worker.child));
    worker.child.reset();
  }
  return std::exchange(leaving_, {});
}

void Team::count(Snapshot& snapshot) const {
  std::vector<StageShares> shares;
  std::uint64_t now = stage::monotonic_ns();
  snapshot.bytes_in = bytes_before_;
  for (const Worker& worker : workers_) {
    if (!worker.page) continue;
    add_page(snapshot, worker.slot.stage, *worker.page);
    shares.push_back(shares_between(worker.slot.stage, {}, activity_totals(*worker.page, now)));
  }
  snapshot.stages = mean_by_stage(shares);
}

void Team::read_pages() {
  std::uint64_t now = stage::monotonic_ns();
  for (Worker& worker : workers_) {
    if (!worker.page) continue;
    auto totals = activity_totals(*worker.page, now);
    Recent& recent = worker.recent;
    recent.shares = shares_between(worker.slot.stage, recent.activity_ns, totals);
    recent.activity_ns = totals;
    std::uint64_t records = read((*worker.page)->records_in);
    recent.new_records = records - std::min(records, recent.records);
    recent.records = records;
    std::uint64_t service_ns = read((*worker.page)->service_ns);
    recent.new_service_ns = service_ns - std::min(service_ns, recent.service_ns);
    recent.service_ns = service_ns;
  }
}

Controller::View Team::load(Clock::time_point now) const {
  Controller::View view;
  view.now = now;
  int filters = 0;
  for (const Worker& worker : workers_) {
    const Recent& recent = worker.recent;
    if (worker.slot.stage == Stage::kWriter) view.writer_busy = recent.shares.busy;
    if (worker.slot.stage == Stage::kFilter) {
      view.blocked_before += recent.shares.blocked;
      ++filters;
    }
    if (worker.slot.stage != Stage::kProcessor || worker.draining) continue;
    ++view.workers;
    view.busy += recent.shares.busy;
    view.delivered += recent.new_records > 0 ? 1 : 0;
    view.records += static_cast<double>(recent.new_records);
    view.service_s += static_cast<double>(recent.new_service_ns) / 1e9;
  }
  view.busy = view.workers == 0 ? 1 : view.busy / view.workers;
  view.blocked_before /= std::max(filters, 1);
  return view;
}

std::uint64_t Team::measure_memory() {
  std::uint64_t total = pss_bytes(::getpid());
  for (Worker& worker : workers_) {
    worker.memory_bytes = !worker.running() ? 0
                          : worker.memory   ? pss_bytes_in(worker.memory.get())
                                            : pss_bytes(worker.child->pid());
    total += worker.memory_bytes;
  }
  return total;
}

void Team::welcome_endpoints(proto::Welcome& welcome, const Worker& worker) const {
  std::uint32_t places = 0;
  for (const Worker& other : workers_) {
    if (other.slot.stage == Stage::kProcessor) places = std::max(places, other.slot.index + 1);
  }
  // A worker that is not ready yet is announced when it is; a draining one is dealt nothing.
  layout_.fill(welcome, worker.slot, worker.instance, places, [this](const Slot& slot) {
    for (const Worker& other : workers_) {
      if (other.slot == slot)
        return other.draining || (other.joined && !other.is_ready()) ? 0U : other.instance;
    }
    return 0U;
  });
}

}  // namespace leat::supervisor
