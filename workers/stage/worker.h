// What every worker program is around its own work: arguments, signals, control socket, page, and the way
// out.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "proto/base/fd.h"
#include "workers/stage/confinement.h"
#include "workers/stage/member.h"

namespace leat::proto {
class DescriptorClient;
}

namespace leat::stage {

struct Program;
struct Arguments {
  std::string control;
  std::string runtime_dir;
  std::uint32_t index = 0;
  std::uint32_t instance = 1;
  std::string join;          // endpoint of the supervisor, which did not start us
  std::string inspect;       // --list or --describe FILE: print and exit, without a supervisor
  std::string show_sandbox;  // FILE: print what it may do, and exit
  std::string state;         // for that
};

// A worker that has said hello and been welcomed. It was started by the supervisor, with its index and instance, or from
// outside (--join, --unit), and gets them with its welcome; then it asks before it leaves, and joins again when the
// supervisor has gone or restarts all.
class Worker final : public Member {
 public:
  void poll_control() override;
  void send_control(const proto::Control& control) override;
  void ready(std::string details_json = {}) override;

  Surroundings surroundings() const { return {briefing_.runtime, briefing_.state, briefing_.volatile_state}; }
  // The calling thread alone: those of the sockets keep what they have. Throws Fatal.
  void confine_further(const Policy& policy) const { value_or_fatal(confine(policy)); }

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
  void share_memory();
  std::shared_ptr<proto::Arena> make_arena(const proto::DescriptorClient& client);
  void warn_of_sharing(std::string_view why);

  std::string control_endpoint_;
  std::string join_;          // empty: the supervisor started us
  std::string descriptors_;   // the path of the supervisor's socket for them
  std::uint64_t number_ = 0;  // by which the supervisor tells one that wants to join
  Fd signals_;
  Fd supervisor_;  // one that joined watches it; the others die with it
  proto::Loop::Id watched_ = 0;
  std::optional<proto::Socket> control_;  // its threads are confined too: so not before confine_by()
  proto::Welcome briefing_;
  std::optional<Error> failure_;  // known before there was a socket to tell it by
  std::string refusal_;
};

}  // namespace leat::stage
