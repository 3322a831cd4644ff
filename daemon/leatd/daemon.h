// leatd's loop: the pipelines of a folder, the people who ask for things, the service manager.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "daemon/control/server.h"
#include "daemon/leatd/loader.h"
#include "daemon/leatd/pipelines.h"
#include "daemon/leatd/runner.h"
#include "daemon/log/notify.h"
#include "daemon/supervisor/signals.h"
#include "proto/base/fd.h"

namespace leat::leatd {

class Daemon {
 public:
  // Takes SIGINT, SIGTERM and SIGHUP over, makes the folders, takes the runtime folder for itself and opens the control socket.
  // Throws std::runtime_error: somebody has it, or it cannot be made.
  explicit Daemon(Folders folders);
  ~Daemon();

  // Until SIGTERM or SIGINT: stops all pipelines (the second one ends them at once). Returns the exit code.
  int run();

 private:
  using Clock = std::chrono::steady_clock;

  void step();
  void wait();
  void on_signals();
  void stop_all();
  void begin_reload(std::optional<std::uint64_t> ticket);
  void finish_reload();
  void answer_waiting();
  void notify();

  control::Answer handle(const control::Request& request, const control::Peer& peer);
  control::Answer change(const control::Request& request, Runner& runner);
  control::Answer show(const control::Request& request, const Runner& runner) const;
  control::Reply status(const std::string& pipeline) const;
  std::string no_pipeline(const std::string& name) const;  // and which there are
  std::string summary() const;

  Folders folders_;
  std::string program_folder_;
  Pipelines pipelines_;
  supervisor::Signals signals_;
  supervisor::StopRequests stop_requests_;
  Fd lock_;
  std::unique_ptr<control::Server> server_;
  log::Notify notify_;
  std::int64_t since_ = 0;
  std::unique_ptr<Loader> loader_;
  std::vector<std::uint64_t> reload_tickets_;
  struct Waiting {  // somebody waits for a pipeline to have stopped
    std::uint64_t ticket;
    std::string pipeline;
  };
  std::vector<Waiting> waiting_;
  Clock::time_point notified_{};
  bool reload_again_ = false;
  bool loaded_ = false;
  bool ready_ = false;
  bool stopping_ = false;
  std::optional<Clock::time_point> leave_at_;
};

}  // namespace leat::leatd
