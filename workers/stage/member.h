// A stage's place in a pipeline: what it was welcomed with and is asked, how it reports, and the loop in which it lives. A worker
// (worker.h) has a supervisor and a process around it; a test makes a member with neither.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "config/pipeline.h"
#include "proto/base/result.h"
#include "proto/batch.h"
#include "proto/channel.h"
#include "proto/control.h"
#include "proto/flow.h"
#include "proto/loop.h"
#include "proto/payload_pool.h"
#include "workers/stage/page.h"

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

// What a stage does when something has come. None of it waits: Member::run() does, for all of them.
class Stage {
 public:
  virtual ~Stage() = default;
  // May it have the next batch? Not while it holds one for which there is no room further on.
  virtual bool wants_batch() { return true; }
  virtual void on_batch(proto::Message) {}
  virtual void on_credit(const proto::Credit&) {}
  // All but welcome and stop. Also while on_batch() is at work.
  virtual void on_control(const proto::Control&) {}
  // What is done when no batch is there (any more): then it waits for something to come, so long, and then for on_timer().
  // nullopt: the work is done.
  virtual std::optional<std::chrono::milliseconds> on_idle() = 0;
  virtual void on_timer() {}
};

class Member {
 public:
  Member(proto::Stage role, std::uint32_t index, std::uint32_t instance)
      : context_(1), role_(role), index_(index), instance_(instance) {}
  Member(const Member&) = delete;
  Member& operator=(const Member&) = delete;
  virtual ~Member() = default;

  proto::Context& context() { return context_; }
  proto::Loop& loop() { return loop_; }
  const proto::Welcome& welcome() const { return welcome_; }
  const config::Pipeline& pipeline() const { return pipeline_; }
  std::uint64_t pipeline_id() const { return pipeline_id_; }
  proto::Stage role() const { return role_; }  // a name; what it means is the stage's to say
  std::uint32_t index() const { return index_; }
  std::uint32_t instance() const { return instance_; }
  MappedPage& page() { return *page_; }
  const std::shared_ptr<proto::PayloadPool>& payloads() const { return payloads_; }
  // No message of this pipeline is larger.
  std::uint64_t max_message_bytes() const;

  // Takes in what has come from the supervisor and signals. Two system calls, so what has work calls
  // poll_control_at_times() instead: that does it after so many calls or so long.
  virtual void poll_control() { polled_ns_ = monotonic_ns(); }
  void poll_control_at_times() {
    constexpr std::uint64_t kLongNs = 10'000'000;
    if (++unpolled_ % 16 == 0 || monotonic_ns() - polled_ns_ >= kLongNs) poll_control();
  }
  virtual void send_control(const proto::Control& control) = 0;

  bool leaving() const { return leaving_; }  // leave now
  // take in nothing new (the reader); nothing more will come (processors)
  bool draining() const { return draining_; }
  // Finish the record at hand, pass on or give back its batch, take in nothing new, and stay.
  bool finishing() const { return finishing_since_.has_value(); }
  // And a batch has had the time to be finished: what is not must be let go, but for a last record.
  bool finishing_is_late() const;

  // Gives the stage what comes, until it is done or the worker is to leave. `input`: its batches, if it has one. Both must
  // outlive the last wait of this member.
  void run(Stage& stage, proto::Socket* input = nullptr);
  void wait_to_leave();  // idle

  virtual void ready(std::string details_json = {});
  void warn(const std::string& text);
  void done(std::string details_json);
  void finished();  // asked to finish, and nothing is at hand; said once

 protected:
  // Tells the stage, at once or when it runs.
  void take_in(const proto::Control& control);
  void leave(bool rejoin);

  proto::Context context_;
  proto::Loop loop_;
  proto::Stage role_;
  std::uint32_t index_;
  std::uint32_t instance_;
  proto::Welcome welcome_;
  config::Pipeline pipeline_;
  std::uint64_t pipeline_id_ = 0;
  std::shared_ptr<proto::PayloadPool> payloads_ = std::make_shared<proto::PayloadPool>();
  std::optional<MappedPage> page_;
  bool leaving_ = false;
  bool rejoin_ = false;  // join again
  bool asked_to_leave_ = false;

 private:
  bool take_batches(Stage& stage, proto::Socket& input);

  bool draining_ = false;
  std::optional<std::chrono::steady_clock::time_point> finishing_since_;
  bool finished_ = false;
  Stage* stage_ = nullptr;
  std::vector<proto::Control> early_controls_;  // came before run()
  std::uint32_t unpolled_ = 0;
  std::uint64_t polled_ns_ = 0;
};

}  // namespace leat::stage
