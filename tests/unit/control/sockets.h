// A server's other end, byte by byte, and the loop around the server.
#pragma once

#include <doctest/doctest.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <stdexcept>
#include <string>
#include <string_view>

#include "daemon/control/address.h"
#include "daemon/control/server.h"
#include "proto/base/fd.h"
#include "tests/unit/folder.h"

namespace leat::control::test {

using namespace std::chrono_literals;

class Folder : public leat::test::Folder {
 public:
  std::string socket() const { return socket_path(root()); }
};

// What somebody sees who knows nothing of client.h.
class RawClient {
 public:
  explicit RawClient(const std::string& path) : socket_(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    auto address = *address_of(path);
    if (::connect(socket_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
      throw std::runtime_error("connect");
    }
  }
  // As much as there is room for.
  std::size_t send(std::string_view bytes) {
    ssize_t count = ::send(socket_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    return count < 0 ? 0 : static_cast<std::size_t>(count);
  }
  void take() {
    std::array<char, 4096> chunk{};
    while (!closed_) {
      ssize_t count = ::recv(socket_.get(), chunk.data(), chunk.size(), MSG_DONTWAIT);
      if (count > 0) {
        answer_.append(chunk.data(), static_cast<std::size_t>(count));
        continue;
      }
      closed_ = count == 0 || errno == ECONNRESET;
      return;
    }
  }
  void half_close() { ::shutdown(socket_.get(), SHUT_WR); }
  void leave() { socket_.reset(); }
  bool closed() const { return closed_; }
  const std::string& answer() const { return answer_; }
  bool has(std::string_view part) const { return answer_.find(part) != std::string::npos; }

 private:
  Fd socket_;
  std::string answer_;
  bool closed_ = false;
};

// Goes round until it holds; false: it did not within 20 s.
template <class Condition>
bool serve_until(Server& server, Condition holds) {
  auto deadline = std::chrono::steady_clock::now() + 20s;
  while (std::chrono::steady_clock::now() < deadline) {
    if (holds()) return true;
    pollfd wait{server.fd(), POLLIN, 0};
    ::poll(&wait, 1, 10);
    server.step();
  }
  return holds();
}

inline bool serve_until_closed(Server& server, RawClient& client) {
  return serve_until(server, [&] {
    client.take();
    return client.closed();
  });
}

// Says which command came.
inline Answer echo(const Request& request, const Peer&) {
  return Reply{0, request.command + " " + request.pipeline, R"({"got":true})"};
}

}  // namespace leat::control::test
