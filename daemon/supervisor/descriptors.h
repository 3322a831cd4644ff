// Hands the memory of batches from the workers that make it to those that map it, and takes in processes that are about to
// join. It is asked over the socket `descriptors` in the runtime folder (proto/descriptors.h), and never waits.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "daemon/supervisor/team.h"
#include "proto/base/fd.h"
#include "proto/descriptors.h"

namespace leat::supervisor {

class Descriptors {
 public:
  // A process of which a hello is still to come.
  struct Arrival {
    std::uint64_t number = 0;
    uid_t uid = 0;
    Fd pidfd;
    Fd memory;  // its smaps_rollup; may be none
  };

  // briefing: an encoded stage::Briefing, which each worker gets before all else. Throws std::system_error.
  Descriptors(const std::string& runtime, std::string_view briefing);
  int fd() const { return server_.fd(); }
  std::uint64_t briefing_digest() const { return digest_; }
  // Answers what has come. Arenas are for the workers of the team alone.
  void serve(Team& team);
  // The one that says hello as join-NUMBER.
  std::optional<Arrival> take_arrival(const std::string& identity);
  // The worker has gone: no request for its memory is answered any more, and the workers that have it mapped see so.
  void forget(std::uint32_t instance);
  void forget_all();

 private:
  struct Arena {
    std::uint32_t instance = 0;
    Fd memory;
  };
  void offer(const Worker& worker, proto::DescriptorServer::Request request);
  void join(proto::DescriptorServer::Request request);

  proto::DescriptorServer server_;
  Fd briefing_;
  std::uint64_t digest_;
  Fd self_;                                // a pidfd of this process, for those that join
  std::map<std::uint64_t, Arena> arenas_;  // one a worker
  std::deque<Arrival> arrivals_;
};

}  // namespace leat::supervisor
