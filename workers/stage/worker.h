// What every worker program is around its own work: arguments, signals, control socket, page, and the way
// out.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "config/pipeline.h"
#include "proto/base/fd.h"
#include "proto/base/result.h"
#include "proto/batch.h"
#include "proto/channel.h"
#include "proto/control.h"
#include "proto/payload_pool.h"
#include "workers/stage/briefing.h"
#include "workers/stage/confinement.h"
#include "workers/stage/page.h"

namespace leat::proto {
class DescriptorClient;
}

namespace leat::stage {

// Ends the work from anywhere inside it: reported to the supervisor with its text, and the program exits with
// its code.
class Fatal : public std::exception {
 public:
  explicit Fatal(Error error) : error_(std::move(error)) {}
  const Error& error() const { return error_; }
  const char* what() const noexcept override { return error_.text.c_str(); }

 private:
  Error error_;
};

// The value, or Fatal.
template <class T>
T value_or_fatal(Result<T> result) {
  if (!result) throw Fatal(std::move(result.error()));
  if constexpr (!std::is_void_v<T>) return *std::move(result);
}

struct Program;
struct Arguments {
  std::string control;
  std::string runtime_dir;
  std::uint32_t index = 0;
  std::uint32_t instance = 1;
  std::string join;           // endpoint of the supervisor, which did not start us
  bool inspect = false;       // --list or --describe: print and exit, without a supervisor
  bool show_sandbox = false;  // print what it may do, and exit
};

// A worker that has said hello and been welcomed. It was started by the supervisor, with its index and instance, or from
// outside (--join, --unit), and gets them with its welcome; then it asks before it leaves, and joins again when the
// supervisor has gone or restarts all.
class Worker {
 public:
  proto::Context& context() { return context_; }
  const proto::Welcome& welcome() const { return *welcome_; }
  const Briefing& briefing() const { return briefing_; }
  const config::Pipeline& pipeline() const { return briefing_.pipeline; }
  std::uint64_t pipeline_id() const { return pipeline_id_; }
  proto::Stage role() const { return role_; }
  std::uint32_t index() const { return index_; }
  std::uint32_t instance() const { return instance_; }
  MappedPage& page() { return *page_; }
  const std::shared_ptr<proto::PayloadPool>& payloads() const { return payloads_; }

  // No message of this pipeline is larger.
  std::uint64_t max_message_bytes() const;

  // Descriptors to wait on beside the worker's own: a stop has come when stopping() says so after the wait.
  void add_to(proto::Poller& poller);
  // Takes in what has come from the supervisor and signals. Two system calls, so a loop that has work calls
  // poll_control_at_times() instead: that does it after so many calls or so long.
  void poll_control();
  void poll_control_at_times() {
    constexpr std::uint64_t kLongNs = 10'000'000;
    if (++unpolled_ % 16 == 0 || monotonic_ns() - polled_ns_ >= kLongNs) poll_control();
  }
  // Called with each message of the supervisor but welcome and stop, from poll_control(); at once with those that came
  // behind the welcome.
  void on_control(std::function<void(const proto::Control&)> on_control);
  bool leaving() const { return leaving_; }  // leave now
  // take in nothing new (the reader); nothing more will come (processors)
  bool draining() const { return draining_; }
  // Finish the record at hand, pass on or give back its batch, take in nothing new, and stay.
  bool finishing() const { return finishing_since_.has_value(); }
  // And a batch has had the time to be finished: what is not must be let go, but for a last record.
  bool finishing_is_late() const;

  // The calling thread alone: those of the sockets keep what they have. Throws Fatal.
  void confine_further(const Policy& policy) const { value_or_fatal(confine(policy)); }

  void ready(std::string details_json = {});
  void warn(const std::string& text);
  void done(std::string details_json);
  void finished();       // asked to finish, and nothing is at hand; said once
  void wait_to_leave();  // idle
  void send_control(const proto::Control& control) { send(control); }

 private:
  friend int run_worker(const Program&, int, char**);
  friend int take_part(const Program&, const Arguments&);
  Worker(proto::Stage role, const Arguments& arguments);
  void learn(const Confinement& confinement);
  void wait_for_supervisor();
  bool announce();
  void take_briefing(const Fd& file);
  void confine_by(const Confinement& confinement);
  void connect();
  void join();
  void take_place();
  void say(const std::string& text) const;  // to stderr
  void on_signal();
  void leave(bool rejoin);
  void take_in(const proto::Control& control);
  void send(const proto::Control& control);
  void share_memory();
  std::shared_ptr<proto::Arena> make_arena(const proto::DescriptorClient& client);
  void warn_of_sharing(std::string_view why);

  proto::Stage role_;
  std::uint32_t index_;
  std::uint32_t instance_;
  std::string control_endpoint_;
  std::string join_;          // empty: the supervisor started us
  std::string descriptors_;   // the path of the supervisor's socket for them
  std::uint64_t number_ = 0;  // by which the supervisor tells one that wants to join
  std::optional<MappedPage> page_;
  Fd signals_;
  Fd supervisor_;  // one that joined watches it; the others die with it
  proto::Context context_;
  std::optional<proto::Socket> control_;  // its threads are confined too: so not before confine_by()
  Briefing briefing_;
  std::uint64_t digest_ = 0;      // of the briefing; 0: none yet
  std::optional<Error> failure_;  // known before there was a socket to tell it by
  std::optional<proto::Welcome> welcome_;
  std::uint64_t pipeline_id_ = 0;
  std::shared_ptr<proto::PayloadPool> payloads_ = std::make_shared<proto::PayloadPool>();
  bool leaving_ = false;
  bool draining_ = false;
  std::optional<std::chrono::steady_clock::time_point> finishing_since_;
  bool finished_ = false;
  bool asked_to_leave_ = false;
  bool rejoin_ = false;  // join again
  std::string refusal_;
  std::function<void(const proto::Control&)> on_control_;
  std::vector<proto::Control> early_controls_;  // came before on_control()
  std::uint32_t unpolled_ = 0;
  std::uint64_t polled_ns_ = 0;
};

}  // namespace leat::stage
