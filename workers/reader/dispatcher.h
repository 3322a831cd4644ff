// The reader's application thread: takes what the I/O thread has read, numbers it and deals it, within the window; sends again
// what was lost, and the rest of what was cut.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "proto/batch.h"
#include "proto/channel.h"
#include "proto/control.h"
#include "proto/flow.h"
#include "workers/reader/batches.h"
#include "workers/reader/commits.h"
#include "workers/reader/events.h"
#include "workers/reader/growth.h"
#include "workers/reader/pace.h"
#include "workers/reader/read_ahead.h"
#include "workers/reader/window.h"
#include "workers/stage/outlet.h"
#include "workers/stage/test_hook.h"
#include "workers/stage/worker.h"

namespace leat::reader {

class Dispatcher {
 public:
  // Starts the I/O thread. Throws stage::Fatal as read_ahead_options() does.
  explicit Dispatcher(stage::Worker& worker);

  // Until the worker is asked to leave. Throws stage::Fatal: no input, an I/O error that retries did not cure, or a batch that
  // does not get through.
  void run();

 private:
  void drain_acks();
  void handle_control(const proto::Control& control);
  std::size_t target_bytes() const { return std::min(pace_.target_bytes(), growth_.input_bytes()); }
  void take(const proto::Credit& credit);
  [[noreturn]] void give_up(const proto::Batch* batch, const std::string& why) const;
  bool may_resend() { return window_.wants_resend() && outlet_.has_room(); }
  void resend();
  bool may_send();
  void grant();
  void fetch();
  void take(const Listed& listed);
  void count(const Event& event);
  void send();
  void book_accepted();
  void wait_to_leave();
  void stop();
  void finish(bool stopped);
  void show();

  stage::Worker& worker_;
  Pace pace_;
  Growth growth_;
  Window window_;
  Batches batches_;
  proto::Socket accepted_;
  stage::Outlet outlet_;
  ReadAhead ahead_;
  Commits commits_;
  std::optional<proto::Batch> next_;            // to be sent, without a sequence number
  std::map<std::uint64_t, std::string> paths_;  // of the sources that were opened last
  std::vector<proto::Quarantine> quarantined_;
  stage::TestHook hook_{proto::Stage::kReader};
  std::uint64_t sequence_ = 0;
  std::uint64_t done_ = 0;  // sources that match and were done before
  bool ended_ = false;
  std::chrono::steady_clock::time_point shown_{};
  bool paused_ = false;  // nothing new is sent, but the end
};

}  // namespace leat::reader
