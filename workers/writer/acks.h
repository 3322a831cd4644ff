// Tells the reader how far the output has come, and what records become.
#pragma once

#include <cstdint>

#include "proto/batch.h"
#include "proto/channel.h"
#include "proto/flow.h"
#include "workers/stage/worker.h"

namespace leat::writer {

class Acks {
 public:
  Acks(stage::Worker& worker, std::uint64_t epoch);
  // Sent at once when the batch was cut, as all others wait for its rest; otherwise with every fourth.
  void applied(const proto::Batch& batch);
  // All that was applied is.
  void committed();
  // What has not been sent yet. Cumulative: what does not go through now is in the next one.
  void send();

 private:
  void measure(const proto::Header& header);

  proto::Socket socket_;
  proto::Accepted message_;
  int unsent_ = 0;
};

}  // namespace leat::writer
