// Everything stands in one epoll set, so that the loop outside watches one descriptor and knows nothing of clients; a
// level-triggered set forgets nothing that a step has left undone.
//
// A stream's program gets the client's socket as its stdout and stderr: the kernel moves the bytes and holds the program
// back when the client is slow, and here is nothing to buffer. For that the sockets are blocking ones, and all that this
// file does on them is MSG_DONTWAIT. As the program shares the socket, closing our end does not remove it from the set:
// drop() does.
#include "daemon/control/server.h"

#include <fmt/format.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <optional>
#include <system_error>

#include "daemon/supervisor/process.h"
#include "proto/base/text.h"

namespace leat::control {

namespace {

constexpr std::uint64_t kListenerTag = 0;
constexpr std::chrono::milliseconds kAcceptPause{200};
constexpr int kAcceptsAStep = 64;

const Reply kTooMany{kExitIo, "leatd has too many clients at once; try again", ""};

// Of a connection's two descriptors.
std::uint64_t socket_tag(std::uint64_t ticket) {
  return ticket * 2;
}
std::uint64_t child_tag(std::uint64_t ticket) {
  return ticket * 2 + 1;
}

void watch(int set, int operation, int fd, std::uint64_t tag, std::uint32_t events) {
  epoll_event event{};
  event.events = events;
  event.data.u64 = tag;
  if (::epoll_ctl(set, operation, fd, &event) != 0) {
    throw std::system_error(errno, std::generic_category(), "epoll_ctl");
  }
}

std::string to_line(const Reply& reply) {
  std::string text;
  append_quoted(text, printable_lines(reply.text));
  return fmt::format("{{\"exit_code\":{},\"text\":{},\"data\":{}}}\n", reply.exit_code, text,
                     reply.data.empty() ? "{}" : reply.data);
}

// Of a new connection, which has room for it.
void send_and_forget(int socket, const Reply& reply) {
  std::string line = to_line(reply);
  static_cast<void>(::send(socket, line.data(), line.size(), MSG_DONTWAIT | MSG_NOSIGNAL) == 0);
}

bool would_wait() {
  return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR;
}

}  // namespace

struct Server::Connection {
  enum class Phase : std::uint8_t {
    kReading,    // its request has not come yet
    kWaiting,    // the handler said Later
    kStreaming,  // a program writes to it
    kWriting,    // the rest of the answer
    kDying,      // the client has gone, its program has not ended yet
    kClosed,     // to be forgotten
  };
  std::uint64_t ticket = 0;
  Fd socket;
  Peer peer;
  Phase phase = Phase::kReading;
  Clock::time_point deadline;
  std::string in;
  std::string out;
  std::size_t sent = 0;
  std::optional<supervisor::Child> child;
};

Server::Server(const std::string& path, Handler handler, ServerOptions options)
    : handler_(std::move(handler)),
      options_(std::move(options)),
      listener_(path, options_.group),
      events_(::epoll_create1(EPOLL_CLOEXEC)) {
  if (!events_) throw std::system_error(errno, std::generic_category(), "epoll_create1");
  watch(events_.get(), EPOLL_CTL_ADD, listener_.fd(), kListenerTag, EPOLLIN);
}

Server::~Server() = default;

int Server::fd() const {
  return events_.get();
}

void Server::step() {
  auto now = Clock::now();
  if (!accepting_ && now >= accept_again_) {
    watch(events_.get(), EPOLL_CTL_MOD, listener_.fd(), kListenerTag, EPOLLIN);
    accepting_ = true;
  }
  std::array<epoll_event, 64> ready{};
  int count = ::epoll_wait(events_.get(), ready.data(), static_cast<int>(ready.size()), 0);
  for (int i = 0; i < count; ++i) {
    const auto& event = ready[static_cast<std::size_t>(i)];
    handle_event(event.data.u64, event.events);
  }
  expire(now);
  std::erase_if(connections_,
                [](const auto& entry) { return entry.second->phase == Connection::Phase::kClosed; });
}

void Server::handle_event(std::uint64_t tag, std::uint32_t events) {
  if (tag == kListenerTag) return accept_all();
  auto found = connections_.find(tag / 2);
  if (found == connections_.end()) return;
  Connection& connection = *found->second;
  if (tag == child_tag(connection.ticket)) return end_stream(connection);
  using Phase = Connection::Phase;
  // A client that only has shut down its sending half, as `nc -N` does, waits for its answer: that is no HUP.
  bool gone = (events & (EPOLLHUP | EPOLLERR)) != 0;
  if (connection.phase == Phase::kReading) {
    read_request(connection);  // what came before it went may be a whole request
  } else if (gone) {
    drop(connection);
  } else if (connection.phase == Phase::kWriting) {
    write_out(connection);
  }
}

void Server::accept_all() {
  for (int i = 0; i < kAcceptsAStep; ++i) {
    Fd socket(::accept4(listener_.fd(), nullptr, nullptr, SOCK_CLOEXEC));
    if (socket) {
      admit(std::move(socket));
    } else if (errno == EAGAIN) {
      return;
    } else if (errno != EINTR && errno != ECONNABORTED) {
      // No descriptor or memory is left. The client stays in the queue, and would wake the loop for ever.
      return pause_accepting();
    }
  }
}

void Server::pause_accepting() {
  watch(events_.get(), EPOLL_CTL_MOD, listener_.fd(), kListenerTag, 0);
  accepting_ = false;
  accept_again_ = Clock::now() + kAcceptPause;
}

// The one that has been silent longest goes for another: `leat` asks as soon as it is connected.
bool Server::make_room() {
  using Phase = Connection::Phase;
  auto open = std::count_if(connections_.begin(), connections_.end(),
                            [](const auto& entry) { return entry.second->phase != Phase::kClosed; });
  if (static_cast<std::size_t>(open) < options_.max_connections) return true;
  auto silent = std::find_if(connections_.begin(), connections_.end(),
                             [](const auto& entry) { return entry.second->phase == Phase::kReading; });
  if (silent == connections_.end()) return false;
  send_and_forget(silent->second->socket.get(), kTooMany);
  drop(*silent->second);
  return true;
}

void Server::admit(Fd socket) {
  if (!make_room()) return send_and_forget(socket.get(), kTooMany);
  auto connection = std::make_unique<Connection>();
  connection->ticket = ++last_ticket_;
  connection->peer = peer_of(socket.get(), ::geteuid(), listener_.group());
  connection->deadline = Clock::now() + options_.patience;
  watch(events_.get(), EPOLL_CTL_ADD, socket.get(), socket_tag(connection->ticket), EPOLLIN);
  connection->socket = std::move(socket);
  connections_.emplace(connection->ticket, std::move(connection));
}

void Server::read_request(Connection& connection) {
  std::array<char, 4096> chunk{};
  while (true) {
    ssize_t count = ::recv(connection.socket.get(), chunk.data(), chunk.size(), MSG_DONTWAIT);
    if (count < 0 && would_wait()) return;
    if (count < 0 || (count == 0 && connection.in.empty())) return drop(connection);
    if (count == 0) {
      return reply(connection, {kExitUsage, "the request ended before its newline", ""});
    }
    std::size_t before = connection.in.size();
    connection.in.append(chunk.data(), static_cast<std::size_t>(count));
    std::size_t end = connection.in.find('\n', before);
    if (std::min(end, connection.in.size()) >= kMaxRequestBytes) {
      return reply(connection,
                   {kExitUsage, fmt::format("a request has at most {} bytes", kMaxRequestBytes), ""});
    }
    if (end != std::string::npos) return dispatch(connection, std::string_view(connection.in).substr(0, end));
  }
}

void Server::dispatch(Connection& connection, std::string_view line) {
  auto request = decode_request(line);
  if (!request) return reply(connection, {request.error().exit_code, request.error().text, ""});
  if (changes(request->command) && !connection.peer.may_change) {
    return reply(
        connection,
        {kExitConfig, "only root, the user of leatd and the group of its socket may change anything", ""});
  }
  request->ticket = connection.ticket;
  // Nothing more is expected of it; that it goes is always told.
  watch(events_.get(), EPOLL_CTL_MOD, connection.socket.get(), socket_tag(connection.ticket), 0);
  connection.phase = Connection::Phase::kWaiting;
  connection.deadline = Clock::time_point::max();
  Answer answer = handler_(*request, connection.peer);
  if (const auto* now = std::get_if<Reply>(&answer)) reply(connection, *now);
  if (const auto* stream = std::get_if<Stream>(&answer)) start_stream(connection, *stream);
}

void Server::reply(Connection& connection, const Reply& reply) {
  connection.out = to_line(reply);
  connection.phase = Connection::Phase::kWriting;
  connection.deadline = Clock::now() + options_.patience;
  write_out(connection);
}

bool Server::answer(std::uint64_t ticket, const Reply& late) {
  auto found = connections_.find(ticket);
  if (found == connections_.end() || found->second->phase != Connection::Phase::kWaiting) return false;
  reply(*found->second, late);
  return true;
}

std::size_t Server::streams() const {
  return static_cast<std::size_t>(
      std::count_if(connections_.begin(), connections_.end(),
                    [](const auto& entry) { return entry.second->child.has_value(); }));
}

void Server::start_stream(Connection& connection, const Stream& stream) {
  if (streams() >= options_.max_streams) {
    return reply(connection, {kExitIo, "leatd answers too many such requests already; try again", ""});
  }
  constexpr std::string_view kHead = "{\"stream\":true}\n";
  try {
    // The head first, as what the program writes comes behind it. The socket is empty, so it has room.
    if (::send(connection.socket.get(), kHead.data(), kHead.size(), MSG_DONTWAIT | MSG_NOSIGNAL) !=
        static_cast<ssize_t>(kHead.size())) {
      return drop(connection);
    }
    connection.child.emplace(supervisor::Child::start(stream.program, stream.arguments,
                                                      connection.socket.get(), connection.socket.get()));
    watch(events_.get(), EPOLL_CTL_ADD, connection.child->pidfd(), child_tag(connection.ticket), EPOLLIN);
    connection.phase = Connection::Phase::kStreaming;
    connection.deadline = Clock::now() + options_.stream_limit;
  } catch (const std::system_error& error) {
    connection.child.reset();
    connection.out = fmt::format("leatd: {}\n\x1e{{\"exit_code\":{}}}\n", error.what(), int{kExitBug});
    connection.phase = Connection::Phase::kWriting;
    connection.deadline = Clock::now() + options_.patience;
    write_out(connection);
  }
}

void Server::end_stream(Connection& connection) {
  if (!connection.child || !connection.child->reap()) return;
  int exit_code = connection.child->exit_code();
  connection.child.reset();
  if (connection.phase == Connection::Phase::kDying) {
    connection.phase = Connection::Phase::kClosed;
    return;
  }
  // The deadline stays that of the stream: its client may not have read up to here.
  connection.out = fmt::format("\x1e{{\"exit_code\":{}}}\n", exit_code < 0 ? int{kExitBug} : exit_code);
  connection.phase = Connection::Phase::kWriting;
  write_out(connection);
}

void Server::write_out(Connection& connection) {
  while (connection.sent < connection.out.size()) {
    ssize_t count = ::send(connection.socket.get(), connection.out.data() + connection.sent,
                           connection.out.size() - connection.sent, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (count < 0 && would_wait()) {
      watch(events_.get(), EPOLL_CTL_MOD, connection.socket.get(), socket_tag(connection.ticket), EPOLLOUT);
      return;
    }
    if (count < 0) return drop(connection);
    connection.sent += static_cast<std::size_t>(count);
    connection.deadline = std::max(connection.deadline, Clock::now() + options_.patience);
  }
  drop(connection);
}

void Server::drop(Connection& connection) {
  if (connection.socket) ::epoll_ctl(events_.get(), EPOLL_CTL_DEL, connection.socket.get(), nullptr);
  connection.socket.reset();
  if (connection.child) connection.child->kill();
  connection.phase = connection.child ? Connection::Phase::kDying : Connection::Phase::kClosed;
  connection.deadline = Clock::time_point::max();
}

void Server::expire(Clock::time_point now) {
  for (auto& [ticket, connection] : connections_) {
    if (now < connection->deadline) continue;
    if (connection->phase == Connection::Phase::kReading) {
      send_and_forget(connection->socket.get(), {kExitUsage, "no whole request came in time", ""});
    }
    drop(*connection);
  }
}

}  // namespace leat::control
