// A stage in the middle (filter, processor): takes a batch, transforms it, passes it on, returns the credit.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "proto/batch.h"
#include "proto/flow.h"
#include "workers/stage/member.h"
#include "workers/stage/outlet.h"
#include "workers/stage/test_hook.h"

namespace leat::stage {

// The stage before, one socket for each of its workers: a credit goes back to the one that dealt the batch.
class Credits {
 public:
  explicit Credits(Member& member);
  void give_back(const proto::Header& header, std::uint64_t service_ns, std::uint32_t records,
                 std::uint32_t dealt_to);
  // The batch could not be used, here or further on.
  void refuse(std::uint32_t dealt_by, std::uint64_t sequence);

 private:
  proto::Credit credit_for(std::uint64_t sequence) const;
  void send(std::uint32_t dealt_by, const proto::Credit& credit);

  Member& member_;
  std::vector<std::unique_ptr<proto::Socket>> sockets_;
};

// What a filter or a processor is.
struct Middle {
  // Gets every batch of records of this epoch; events pass untouched. One that fails ends the worker; but with exit code 75 the
  // batch goes back to its dealer when the worker was asked to finish.
  std::function<Result<proto::Batch>(proto::Batch)> transform;
  std::uint32_t proto::Header::*took_us = nullptr;  // where the batch says how long that took
  bool finds_records = false;  // what comes are lines: how many records they are is known when it is done
};

class Pump final : public Stage {
 public:
  Pump(Member& member, Middle middle);

  void run();  // until the worker is to leave
  bool wants_batch() override;
  void on_batch(proto::Message message) override;
  void on_credit(const proto::Credit& credit) override;
  void on_control(const proto::Control& control) override { outlet_.handle_control(control); }
  std::optional<std::chrono::milliseconds> on_idle() override;

 private:
  struct Made {
    proto::Header from;
    proto::Batch batch;
    std::uint64_t service_ns;
  };
  std::optional<proto::Batch> decode(proto::Message message);
  void book(const proto::Header& before, const proto::Header& after) const;

  Member& member_;
  Middle middle_;
  proto::Socket input_;
  Credits credits_;
  Outlet outlet_;
  TestHook hook_;
  std::optional<Made> made_;  // and not sent yet
};

}  // namespace leat::stage
