// Sockets between the processes: the only file (with channel.cc) that includes zmq.hpp.
//
// Data flows over PUSH/PULL with high-water marks at both ends, control over DEALER/ROUTER.
// All sockets have a finite linger; correctness never depends on what a socket still holds. Not
// thread-safe: one thread uses a socket. Calls that start something (bind, connect) throw zmq::error_t,
// caught in main.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>
#include <zmq.hpp>

#include "proto/buffer.h"

namespace leat::proto {

// The bytes of one single-frame message.
class Message {
 public:
  Message() = default;
  explicit Message(std::string_view copy_of) : message_(copy_of.data(), copy_of.size()) {}
  // Takes a buffer over with its headroom: the message is headroom + size + kTailPadding bytes.
  static Message adopt(Buffer buffer);

  char* data() { return message_.data<char>(); }
  const char* data() const { return message_.data<char>(); }
  std::size_t size() const { return message_.size(); }
  std::string_view view() const { return {data(), size()}; }
  Message share() const;  // the same bytes, reference counted: do not write to them afterwards

 private:
  friend class Socket;
  zmq::message_t message_;
};

using Context = zmq::context_t;

enum class SocketKind : std::uint8_t { kPush, kPull, kRouter, kDealer, kPub, kSub };

class Socket {
 public:
  // hwm: messages queued at this end before it refuses (kPush) or stops reading (kPull).
  // max_message_bytes: a peer that announces more is disconnected before anything is allocated; 0: no limit.
  Socket(Context& context, SocketKind kind, int hwm, std::uint64_t max_message_bytes = 0);

  void bind(const std::string& endpoint) { socket_.bind(endpoint); }
  void connect(const std::string& endpoint) { socket_.connect(endpoint); }
  void set_routing_id(std::string_view id);  // kDealer, before connect

  // False: it would have to wait; the message is unchanged.
  [[nodiscard]] bool try_send(Message& message);
  [[nodiscard]] std::optional<Message> try_receive();

  // kRouter: which peer a message came from, and where one goes. False: unknown peer, or it would have to wait.
  struct Routed {
    std::string identity;
    Message message;
  };
  [[nodiscard]] bool try_send(std::string_view identity, Message& message);
  [[nodiscard]] std::optional<Routed> try_receive_routed();

  void* handle() { return socket_.handle(); }

 private:
  zmq::socket_t socket_;
};

// Waits for input on sockets and descriptors.
class Poller {
 public:
  // Returns an index for ready().
  std::size_t add(Socket& socket);
  std::size_t add(int fd);
  void watch(std::size_t index, bool on);  // all are watched at first
  // False: nothing happened for that long (negative: wait for ever), or a signal came.
  bool wait(std::chrono::milliseconds timeout);
  bool ready(std::size_t index) const { return items_[index].revents != 0; }

 private:
  std::vector<zmq::pollitem_t> items_;
};

}  // namespace leat::proto
