#include "daemon/leatd/daemon.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <ctime>
#include <filesystem>
#include <stdexcept>
#include <utility>

#include "config/text.h"
#include "daemon/leatd/status.h"
#include "daemon/log/log.h"
#include "daemon/supervisor/process.h"
#include "proto/base/human.h"
#include "proto/base/text.h"
#include "workers/stage/limits.h"

namespace leat::leatd {

using std::chrono::milliseconds;

namespace {

constexpr milliseconds kTurn{1'000};
// For all pipelines to stop when leatd is told to: the records at hand (20 s at most), and a commit. Then they leave at once.
constexpr std::chrono::seconds kStopPatience{35};

void make_folder(const std::string& path, mode_t mode) {
  if (::mkdir(path.c_str(), mode) == 0 || errno == EEXIST) return;
  throw std::runtime_error(fmt::format("{}: {}", path, std::strerror(errno)));
}

// One leatd a runtime folder: two would take each other's sockets.
Fd take_lock(const std::string& runtime) {
  std::string path = runtime + "/leatd.lock";
  Fd lock(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (!lock) throw std::runtime_error(fmt::format("{}: {}", path, std::strerror(errno)));
  if (::flock(lock.get(), LOCK_EX | LOCK_NB) != 0) {
    throw std::runtime_error(
        fmt::format("another leatd uses {}; choose another folder with --runtime-dir", runtime));
  }
  return lock;
}

control::Reply refuse(int exit_code, std::string text) {
  return {exit_code, std::move(text), {}};
}

void log_change(const Change& change) {
  if (change.result == "unchanged") return;
  log::Fields fields{{"pipeline", change.pipeline}, {"result", change.result}};
  if (!change.text.empty()) fields.push_back({"text", change.text});
  (change.result == "refused" ? log::error : log::info)("reload", fields);
}

}  // namespace

Daemon::Daemon(Folders folders)
    : folders_(std::move(folders)),
      program_folder_(supervisor::own_folder()),
      pipelines_(folders_, program_folder_),
      since_(std::time(nullptr)) {
  if (auto allowed = stage::allow_descriptors(stage::kDescriptorsOfLeatd); !allowed)
    throw std::runtime_error(allowed.error().text);
  // A pipelines.d may come later; that the folder it is to be in is missing is a typing mistake.
  if (!std::filesystem::is_directory(folders_.config))
    throw std::runtime_error(fmt::format("{}: no such folder; name it with --config-dir", folders_.config));
  make_folder(folders_.runtime, 0755);
  make_folder(folders_.state, 0700);
  lock_ = take_lock(folders_.runtime);
  server_ = std::make_unique<control::Server>(
      folders_.runtime + "/leatd.sock",
      [this](const control::Request& request, const control::Peer& peer) { return handle(request, peer); });
}

Daemon::~Daemon() = default;

int Daemon::run() {
  log::info("leatd-starts", {{"version", LEAT_VERSION}, {"config", folders_.config}});
  begin_reload(std::nullopt);
  while (!(stopping_ && pipelines_.all_gone())) {
    wait();
    step();
  }
  log::info("leatd-ends");
  return kExitOk;
}

void Daemon::wait() {
  proto::Poller poller;
  poller.add(signals_.fd());
  server_->add_to(poller);
  if (loader_) poller.add(loader_->fd());
  pipelines_.add_to(poller);
  poller.wait(std::min(kTurn, pipelines_.due()));
}

void Daemon::step() {
  on_signals();
  server_->step();
  if (loader_ && loader_->done()) finish_reload();
  pipelines_.step();
  if (stopping_) pipelines_.forget_stopped();
  answer_waiting();
  notify();
  log::tick();
}

void Daemon::on_signals() {
  auto [stops, hangups] = signals_.take();
  if (hangups > 0 && !stopping_) begin_reload(std::nullopt);
  if (stop_requests_.take(stops > 0) != supervisor::StopRequests::kNone) stop_all();
  if (leave_at_ && Clock::now() >= *leave_at_) stop_all();
}

// The first time all stop; after that, they leave at once.
void Daemon::stop_all() {
  bool again = std::exchange(stopping_, true);
  if (!again) {
    notify_.stopping();
    log::info("leatd-stops", {{"pipelines", pipelines_.running().size()}});
    leave_at_ = Clock::now() + kStopPatience;
    loader_.reset();  // nothing new is started
    for (std::uint64_t ticket : std::exchange(reload_tickets_, {})) {
      static_cast<void>(server_->answer(ticket, refuse(kExitStopped, "leatd is stopping")));
    }
  } else {
    leave_at_.reset();
  }
  again ? pipelines_.leave_all() : pipelines_.stop_all();
}

void Daemon::begin_reload(std::optional<std::uint64_t> ticket) {
  if (ticket) reload_tickets_.push_back(*ticket);
  reload_again_ = loader_ != nullptr;  // the files may have changed since it read them
  if (loader_) return;
  if (loaded_) notify_.reloading();
  loader_ = std::make_unique<Loader>(folders_.config + "/pipelines.d");
}

void Daemon::finish_reload() {
  if (std::exchange(reload_again_, false)) {
    loader_ = std::make_unique<Loader>(folders_.config + "/pipelines.d");
    return;
  }
  std::string text = loader_->error();
  std::vector<plan::Candidate> candidates = loader_->take();
  loader_.reset();
  bool whole = text.empty();
  if (!whole) log::error("config-unreadable", {{"text", text}});
  std::vector<Change> changes = pipelines_.apply(std::move(candidates), whole);
  if (whole && pipelines_.running().empty()) {
    log::warning("no-pipelines",
                 {{"text", fmt::format("put one into {}/pipelines.d, then leat reload", folders_.config)}});
  }
  JsonWriter json;
  json.array([&] {
    for (const Change& change : changes) {
      log_change(change);
      text += fmt::format("{}{}: {}{}{}", text.empty() ? "" : "\n", printable(change.pipeline), change.result,
                          change.text.empty() ? "" : "\n", change.text);
      json.object([&] {
        json.put("pipeline", change.pipeline);
        json.put("result", change.result);
        json.put("text", change.text);
      });
    }
  });
  int exit_code = whole && pipelines_.refused().empty() ? int{kExitOk} : int{kExitConfig};
  for (std::uint64_t ticket : std::exchange(reload_tickets_, {})) {
    static_cast<void>(server_->answer(ticket, {exit_code, text, json.text()}));
  }
  if (std::exchange(loaded_, true)) notify_.ready();
}

control::Answer Daemon::handle(const control::Request& request, const control::Peer& peer) {
  if (request.command == "status") return status(request.pipeline);
  if (control::changes(request.command)) {
    log::info(
        "asked",
        {{"command", request.command}, {"pipeline", request.pipeline}, {"uid", peer.uid}, {"pid", peer.pid}});
    if (stopping_) return refuse(kExitStopped, "leatd is stopping");
  }
  if (request.command == "reload") {
    begin_reload(request.ticket);
    return control::Later{};
  }
  Runner* runner = pipelines_.find(request.pipeline);
  if (runner == nullptr) {
    return refuse(kExitUsage, no_pipeline(request.pipeline));
  }
  return control::changes(request.command) ? change(request, *runner) : show(request, *runner);
}

std::string Daemon::no_pipeline(const std::string& name) const {
  std::vector<std::string_view> names;
  for (const auto& runner : pipelines_.running()) names.emplace_back(runner->name());
  std::string text =
      fmt::format("leatd has no pipeline {}{}; it has: {}", config::in_quotes(name),
                  config::did_you_mean(name, names), names.empty() ? "none" : config::joined(names));
  for (const plan::Candidate& candidate : pipelines_.refused())
    text += fmt::format("; refused: {}", printable(candidate.file));
  return text;
}

control::Answer Daemon::change(const control::Request& request, Runner& runner) {
  const std::string& name = runner.name();
  if (request.command == "scale") {
    if (auto scaled = runner.scale(request.workers); !scaled)
      return refuse(scaled.error().exit_code, scaled.error().text);
    return control::Reply{kExitOk,
                          request.workers ? fmt::format("{}: {} processor{}", name, *request.workers,
                                                        *request.workers == 1 ? "" : "s")
                                          : fmt::format("{}: as many processors as are worth having", name),
                          {}};
  }
  if (request.command == "pause") {
    runner.pause();
    return control::Reply{
        kExitOk, fmt::format("{}: paused; run `leat resume {}` to continue", name, name), {}};
  }
  if (request.command == "resume") {
    runner.resume();
    return control::Reply{kExitOk, fmt::format("{}: resumes", name), {}};
  }
  if (request.command == "drain") {
    runner.drain();
  } else {
    runner.stopping() ? runner.leave() : runner.stop();
  }
  waiting_.push_back({request.ticket, name});
  return control::Later{};
}

// `leat` itself shows what is in the ledger and in the dead-letter file: it runs as leatd's user, who may read them.
control::Answer Daemon::show(const control::Request& request, const Runner& runner) const {
  control::Stream stream{program_folder_ + "/leat", {request.command}};
  if (request.command == "sources") {
    stream.arguments.insert(stream.arguments.end(), {"--state", runner.state_folder()});
    stream.arguments.insert(stream.arguments.end(), request.arguments.begin(), request.arguments.end());
    return stream;
  }
  const std::string& file = runner.plan().pipeline.dead_letter_path;
  if (file.empty()) return refuse(kExitNoInput, fmt::format("{} has no dead_letter.path", runner.name()));
  // dead ls FILE OPTIONS, dead show FILE N OPTIONS
  stream.arguments.push_back(request.arguments.empty() ? "ls" : request.arguments.front());
  stream.arguments.push_back(file);
  if (!request.arguments.empty()) {
    stream.arguments.insert(stream.arguments.end(), request.arguments.begin() + 1, request.arguments.end());
  }
  return stream;
}

control::Reply Daemon::status(const std::string& pipeline) const {
  proto::Status status{LEAT_VERSION, ::getpid(), iso_time(since_), {}};
  for (const auto& runner : pipelines_.running()) {
    if (pipeline.empty() || runner->name() == pipeline) status.pipelines.push_back(status_of(*runner));
  }
  if (!pipeline.empty() && status.pipelines.empty()) return refuse(kExitUsage, no_pipeline(pipeline));
  for (const plan::Candidate& candidate : pipelines_.refused()) {
    if (pipeline.empty()) status.pipelines.push_back(status_of(candidate));
  }
  return {kExitOk, {}, encode_fields(status, JsonFor::kPeople)};
}

void Daemon::answer_waiting() {
  std::erase_if(waiting_, [&](const Waiting& waiting) {
    Runner* runner = pipelines_.find(waiting.pipeline);
    if (runner != nullptr && runner->is_to_stop() && !runner->stopped()) return false;
    if (runner != nullptr && !runner->is_to_stop()) {
      static_cast<void>(server_->answer(
          waiting.ticket, refuse(kExitStopped, waiting.pipeline + " has not stopped: it was resumed")));
      return true;
    }
    static_cast<void>(server_->answer(
        waiting.ticket,
        {kExitOk, fmt::format("{0}: stopped; run `leat resume {0}` to continue", waiting.pipeline), {}}));
    return true;
  });
}

// One line for `systemctl status`.
std::string Daemon::summary() const {
  std::string text;
  for (const auto& runner : pipelines_.running()) {
    Runner::State state = runner->state();
    text += fmt::format("{}{}: ", text.empty() ? "" : "; ", runner->name());
    if (state.name != "running" || !state.message.empty()) {
      text += fmt::format("{}{}{}", state.name, state.message.empty() ? "" : ", ", state.message);
      continue;
    }
    auto status = runner->status();
    text += fmt::format("{}, {}/s{}", human_rate(runner->rates().bytes), human_count(runner->rates().records),
                        status->bottleneck.empty() ? "" : " (busiest: " + status->bottleneck + ")");
  }
  for (const plan::Candidate& candidate : pipelines_.refused()) {
    text += fmt::format("{}{}: refused", text.empty() ? "" : "; ",
                        std::filesystem::path(candidate.file).filename().string());
  }
  return text.empty() ? fmt::format("no pipelines in {}/pipelines.d", folders_.config) : text;
}

void Daemon::notify() {
  notify_.watchdog();
  if (!loaded_ || stopping_) return;
  if (ready_ && Clock::now() - notified_ < kTurn) return;
  notified_ = Clock::now();
  notify_.status(summary());
  if (ready_) return;
  ready_ = pipelines_.settled();
  if (!ready_) return;
  notify_.ready();
  log::info("leatd-ready",
            {{"pipelines", pipelines_.running().size()}, {"refused", pipelines_.refused().size()}});
}

}  // namespace leat::leatd
