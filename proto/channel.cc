#include "proto/channel.h"

#include <utility>

namespace leat::proto {

namespace {

// What may stay behind in a socket that closes gets this long; what is lost then, the window sends again.
constexpr int kLingerMs = 200;
// Workers start in any order; one that connects before the other has bound asks again soon, not after ZeroMQ's
// 100 ms.
constexpr int kReconnectMs = 5;

int zmq_kind(SocketKind kind) {
  switch (kind) {
    case SocketKind::kPush:
      return ZMQ_PUSH;
    case SocketKind::kPull:
      return ZMQ_PULL;
    case SocketKind::kRouter:
      return ZMQ_ROUTER;
    case SocketKind::kDealer:
      return ZMQ_DEALER;
    case SocketKind::kPub:
      return ZMQ_PUB;
    case SocketKind::kSub:
      return ZMQ_SUB;
  }
  return -1;
}

}  // namespace

Message Message::adopt(Buffer buffer) {
  std::size_t size = buffer.headroom() + buffer.size() + kTailPadding;
  std::memset(buffer.data() + buffer.size(), 0, kTailPadding);
  Message message;
  message.message_.rebuild(
      buffer.release(), size, [](void* base, void*) { Buffer::deallocate(static_cast<char*>(base)); },
      nullptr);
  return message;
}

Message Message::share() const {
  Message shared;
  // zmq_msg_copy only counts a reference; its source is not const because of that count.
  shared.message_.copy(const_cast<zmq::message_t&>(message_));
  return shared;
}

Socket::Socket(Context& context, SocketKind kind, int hwm, std::uint64_t max_message_bytes)
    : socket_(context, zmq_kind(kind)) {
  socket_.set(zmq::sockopt::sndhwm, hwm);
  socket_.set(zmq::sockopt::rcvhwm, hwm);
  socket_.set(zmq::sockopt::linger, kLingerMs);
  socket_.set(zmq::sockopt::reconnect_ivl, kReconnectMs);
  if (max_message_bytes != 0) {
    socket_.set(zmq::sockopt::maxmsgsize, static_cast<std::int64_t>(max_message_bytes));
  }
  if (kind == SocketKind::kRouter) socket_.set(zmq::sockopt::router_mandatory, true);
  if (kind == SocketKind::kSub) socket_.set(zmq::sockopt::subscribe, "");
}

void Socket::set_routing_id(std::string_view id) {
  socket_.set(zmq::sockopt::routing_id, id);
}

bool Socket::try_send(Message& message) {
  return socket_.send(message.message_, zmq::send_flags::dontwait).has_value();
}

std::optional<Message> Socket::try_receive() {
  Message message;
  if (!socket_.recv(message.message_, zmq::recv_flags::dontwait)) return std::nullopt;
  return message;
}

bool Socket::try_send(std::string_view identity, Message& message) {
  try {
    auto flags = zmq::send_flags::dontwait | zmq::send_flags::sndmore;
    if (!socket_.send(zmq::buffer(identity), flags)) return false;
    return socket_.send(message.message_, zmq::send_flags::dontwait).has_value();
  } catch (const zmq::error_t& error) {
    if (error.num() == EHOSTUNREACH) return false;
    throw;
  }
}

std::optional<Socket::Routed> Socket::try_receive_routed() {
  Routed routed;
  zmq::message_t part;
  if (!socket_.recv(part, zmq::recv_flags::dontwait)) return std::nullopt;
  routed.identity = part.to_string();
  if (!part.more()) return routed;
  static_cast<void>(socket_.recv(routed.message.message_, zmq::recv_flags::none));
  // A peer that sends more frames than the protocol has: they are taken and dropped.
  for (bool more = routed.message.message_.more(); more; more = part.more()) {
    static_cast<void>(socket_.recv(part, zmq::recv_flags::none));
  }
  return routed;
}

std::size_t Poller::add(Socket& socket) {
  items_.push_back({socket.handle(), 0, ZMQ_POLLIN, 0});
  return items_.size() - 1;
}

std::size_t Poller::add(int fd) {
  items_.push_back({nullptr, fd, ZMQ_POLLIN, 0});
  return items_.size() - 1;
}

void Poller::watch(std::size_t index, bool on) {
  items_[index].events = on ? ZMQ_POLLIN : 0;
}

bool Poller::wait(std::chrono::milliseconds timeout) {
  try {
    return zmq::poll(items_, timeout) > 0;
  } catch (const zmq::error_t& error) {
    if (error.num() != EINTR) throw;
    for (auto& item : items_) item.revents = 0;
    return false;
  }
}

}  // namespace leat::proto
