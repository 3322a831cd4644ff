// What ZeroMQ cannot carry: file descriptors. A worker and its supervisor pass them over one AF_UNIX datagram socket,
// `descriptors` in the runtime folder (PROTOCOL.md has the bytes).
//
// Each request brings the socket that it is answered on, so the supervisor keeps no connections, and has nothing to
// wait for: a request is read whole, or is not there yet. The kernel says which process sent it, and whose it is.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "proto/base/fd.h"
#include "proto/base/result.h"

namespace leat::proto {

// Explicit values, never renumbered.
enum class DescriptorRequestKind : std::uint32_t {
  kOffer = 1,  // a worker has made the arena `number`, here it is
  kAsk = 2,    // a worker wants the arena `number`
  // A processor that is about to ask for a place as join-NUMBER: its pidfd, and what tells its memory.
  kJoin = 3,
  kBriefing = 4,  // a worker wants to know what it is for, before it has sockets and threads
};

// The worker's end. Every call waits for an answer, at most kPatience, and fails (kRetry) without one.
class DescriptorClient {
 public:
  static constexpr std::chrono::milliseconds kPatience{5'000};

  [[nodiscard]] static Result<DescriptorClient> connect(const std::string& path);

  [[nodiscard]] Result<void> offer(std::uint64_t arena, int memfd) const;
  [[nodiscard]] Result<Fd> ask(std::uint64_t arena) const;
  // A file that holds an encoded stage::Briefing.
  [[nodiscard]] Result<Fd> briefing() const;
  struct Joined {
    Fd supervisor;  // a pidfd
    Fd briefing;
  };
  // memory: /proc/self/smaps_rollup, opened by the one that joins; -1: none.
  [[nodiscard]] Result<Joined> join(std::uint64_t number, int pidfd, int memory) const;

 private:
  explicit DescriptorClient(Fd socket) : socket_(std::move(socket)) {}
  // Gives as many descriptors as are wanted.
  Result<std::vector<Fd>> request(DescriptorRequestKind kind, std::uint64_t number,
                                  std::vector<int> descriptors, std::size_t wanted) const;

  Fd socket_;
};

// The supervisor's end. Nothing here waits.
class DescriptorServer {
 public:
  struct Request {
    DescriptorRequestKind kind = DescriptorRequestKind::kAsk;
    std::uint64_t number = 0;
    pid_t pid = 0;  // of the sender, as the kernel says; 0: in a PID namespace that cannot be seen from here
    uid_t uid = 0;
    Fd reply;
    std::vector<Fd> descriptors;  // what came with it; not checked
  };

  // Throws std::system_error.
  explicit DescriptorServer(const std::string& path);
  int fd() const { return socket_.get(); }
  // The next one; nullopt: no more for now. What is no request is passed over.
  std::optional<Request> receive() const;
  // A request that ends without it is refused. The descriptors stay the caller's.
  static void grant(const Request& request, const std::vector<int>& descriptors = {});

 private:
  Fd socket_;
};

}  // namespace leat::proto
