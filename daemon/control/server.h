// The socket on which leatd answers `leat`: one request a connection (one line of JSON), one answer, close.
//
// It has no thread and never waits: it is a part of somebody's poll loop. Clients may be hostile or hang; none of them
// costs more than a buffer, and none holds up another.
//
// On the wire the answer is {"exit_code":N,"text":"...","data":{...}} in one line; or, for what a program answers, a line
// {"stream":true}, the bytes that it writes to stdout and stderr, and as the last line the byte 0x1e and {"exit_code":N}.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <variant>
#include <vector>

#include "daemon/control/listener.h"
#include "daemon/control/peer.h"
#include "daemon/control/request.h"
#include "proto/base/fd.h"
#include "proto/channel.h"

namespace leat::control {

struct Reply {
  int exit_code = 0;  // what `leat` is to exit with
  std::string text;   // for a person, without a newline at its end; to stderr when exit_code is not 0
  std::string data;   // one JSON value without a newline in it; empty: {}
};
// A program answers, as a child of ours: stdin is empty. It is killed when the client goes, or we do.
struct Stream {
  std::string program;
  std::vector<std::string> arguments;
};
// Server::answer(request.ticket, ...) will follow; the client waits for as long as that takes.
struct Later {};
using Answer = std::variant<Reply, Stream, Later>;
using Handler = std::function<Answer(const Request&, const Peer&)>;

struct ServerOptions {
  std::string group = "leat";
  std::size_t max_connections = 32;  // then one that has not asked yet goes, or the new one
  std::size_t max_streams = 8;
  std::chrono::milliseconds patience{
      10'000};  // for a whole request; for a client to take the next bytes of an answer
  std::chrono::milliseconds stream_limit{1'800'000};  // somebody may read in a pager
};

class Server {
 public:
  // Throws SocketError. The handler is called from step() only; a request that changes something does not reach it when
  // the peer may not.
  Server(const std::string& path, Handler handler, ServerOptions options = {});
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;
  ~Server();

  // Once for all: everything that the server waits for is behind one descriptor.
  void add_to(proto::Poller& poller) { poller.add(fd()); }
  int fd() const;  // readable: step() has something to do
  // Does what can be done now. Deadlines are only seen here: call it about once a second when nothing happens.
  void step();
  // The answer to a request whose handler said Later. False: its client has gone meanwhile, or was answered.
  bool answer(std::uint64_t ticket, const Reply& reply);
  std::size_t connections() const { return connections_.size(); }

 private:
  struct Connection;
  using Clock = std::chrono::steady_clock;

  void accept_all();
  bool make_room();
  void admit(Fd socket);
  void pause_accepting();
  void handle_event(std::uint64_t tag, std::uint32_t events);
  void read_request(Connection& connection);
  void dispatch(Connection& connection, std::string_view line);
  void reply(Connection& connection, const Reply& reply);
  void start_stream(Connection& connection, const Stream& stream);
  void end_stream(Connection& connection);
  void write_out(Connection& connection);
  void drop(Connection& connection);
  void expire(Clock::time_point now);
  std::size_t streams() const;

  Handler handler_;
  ServerOptions options_;
  Listener listener_;
  Fd events_;  // epoll
  Clock::time_point accept_again_{};
  bool accepting_ = true;
  std::uint64_t last_ticket_ = 0;
  std::map<std::uint64_t, std::unique_ptr<Connection>> connections_;  // by ticket
};

}  // namespace leat::control
