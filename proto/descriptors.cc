#include "proto/descriptors.h"

#include <fmt/format.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <string_view>
#include <system_error>
#include <utility>

#include "proto/base/bytes.h"

namespace leat::proto {

namespace {

constexpr std::uint32_t kRequestMagic = 0x3152444C;  // "LDR1"
constexpr std::uint32_t kAnswerMagic = 0x3141444C;   // "LDA1"
constexpr std::size_t kRequestBytes = 16;
constexpr std::size_t kAnswerBytes = 8;
constexpr std::size_t kMostDescriptors = 3;
constexpr int kGarbageAtOnce = 64;  // datagrams that are no requests

struct Received {
  std::array<char, kRequestBytes + 1> bytes{};
  std::size_t size = 0;
  ucred sender{0, static_cast<uid_t>(-1), static_cast<gid_t>(-1)};
  std::vector<Fd> descriptors;
  std::string_view view() const { return {bytes.data(), size}; }
};

union ControlBytes {
  cmsghdr align;
  std::array<char, CMSG_SPACE(sizeof(ucred)) + CMSG_SPACE(kMostDescriptors * sizeof(int))> bytes;
};

// False: errno says why.
bool send_with(int socket, std::string_view bytes, const std::vector<int>& descriptors, int flags) {
  iovec part{const_cast<char*>(bytes.data()), bytes.size()};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  ControlBytes control{};
  if (!descriptors.empty()) {
    const std::size_t length = descriptors.size() * sizeof(int);
    message.msg_control = control.bytes.data();
    message.msg_controllen = CMSG_SPACE(length);
    cmsghdr* header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(length);
    std::memcpy(CMSG_DATA(header), descriptors.data(), length);
  }
  ssize_t sent = 0;
  do sent = ::sendmsg(socket, &message, flags | MSG_NOSIGNAL);
  while (sent < 0 && errno == EINTR);
  return sent == static_cast<ssize_t>(bytes.size());
}

// nullopt: errno says why. The kernel closes those descriptors that there is no room for.
std::optional<Received> receive_from(int socket, int flags) {
  Received received;
  iovec part{received.bytes.data(), received.bytes.size()};
  ControlBytes control{};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = control.bytes.data();
  message.msg_controllen = sizeof control.bytes;
  ssize_t size = 0;
  do size = ::recvmsg(socket, &message, flags | MSG_CMSG_CLOEXEC);
  while (size < 0 && errno == EINTR);
  if (size < 0) return std::nullopt;
  received.size = static_cast<std::size_t>(size);
  for (cmsghdr* header = CMSG_FIRSTHDR(&message); header != nullptr; header = CMSG_NXTHDR(&message, header)) {
    if (header->cmsg_level != SOL_SOCKET) continue;
    const std::size_t length = header->cmsg_len - CMSG_LEN(0);
    if (header->cmsg_type == SCM_CREDENTIALS && length == sizeof(ucred)) {
      std::memcpy(&received.sender, CMSG_DATA(header), sizeof(ucred));
    }
    if (header->cmsg_type != SCM_RIGHTS) continue;
    for (std::size_t at = 0; at + sizeof(int) <= length; at += sizeof(int)) {
      int fd = -1;
      std::memcpy(&fd, CMSG_DATA(header) + at, sizeof fd);
      received.descriptors.emplace_back(fd);
    }
  }
  return received;
}

sockaddr_un address_of(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path) {
    throw std::system_error(ENAMETOOLONG, std::generic_category(), path);
  }
  std::memcpy(address.sun_path, path.data(), path.size());
  return address;
}

tl::unexpected<Error> no_answer(std::string_view what) {
  return fail(Fault::kRetry, fmt::format("the supervisor cannot be asked for shared memory: {}: {}", what,
                                         std::system_category().message(errno)));
}

}  // namespace

Result<DescriptorClient> DescriptorClient::connect(const std::string& path) {
  Fd socket(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  if (!socket) return no_answer("socket");
  const sockaddr_un address = address_of(path);
  if (::connect(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
    return no_answer(path);
  }
  // The queue may be full for a moment.
  const timeval patience{std::chrono::duration_cast<std::chrono::seconds>(kPatience).count(), 0};
  ::setsockopt(socket.get(), SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
  return DescriptorClient(std::move(socket));
}

Result<std::vector<Fd>> DescriptorClient::request(DescriptorRequestKind kind, std::uint64_t number,
                                                  std::vector<int> descriptors, std::size_t wanted) const {
  std::array<int, 2> ends{};
  if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends.data()) != 0)
    return no_answer("socketpair");
  const Fd mine(ends[0]);
  Fd theirs(ends[1]);
  std::array<char, kRequestBytes> bytes{};
  ByteWriter writer(bytes.data());
  writer.put(kRequestMagic);
  writer.put(static_cast<std::uint32_t>(kind));
  writer.put(number);
  descriptors.insert(descriptors.begin(), theirs.get());
  if (!send_with(socket_.get(), {bytes.data(), bytes.size()}, descriptors, 0)) return no_answer("request");
  theirs.reset();  // so that its end is seen here when the request is dropped
  const timeval patience{std::chrono::duration_cast<std::chrono::seconds>(kPatience).count(), 0};
  ::setsockopt(mine.get(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  auto received = receive_from(mine.get(), 0);
  if (!received) return no_answer("answer");
  ByteReader reader(received->view());
  const auto magic = reader.get<std::uint32_t>();
  if (!reader.good() || magic != kAnswerMagic || received->descriptors.size() != wanted) {
    return fail(Fault::kRetry, "the supervisor does not know this memory, or its maker has gone");
  }
  return std::move(received->descriptors);
}

Result<void> DescriptorClient::offer(std::uint64_t arena, int memfd) const {
  LEAT_TRY(request(DescriptorRequestKind::kOffer, arena, {memfd}, 0));
  return {};
}

Result<Fd> DescriptorClient::ask(std::uint64_t arena) const {
  auto granted = LEAT_TRY(request(DescriptorRequestKind::kAsk, arena, {}, 1));
  return std::move(granted.front());
}

Result<Fd> DescriptorClient::briefing() const {
  auto granted = LEAT_TRY(request(DescriptorRequestKind::kBriefing, 0, {}, 1));
  return std::move(granted.front());
}

Result<DescriptorClient::Joined> DescriptorClient::join(std::uint64_t number, int pidfd, int memory) const {
  std::vector<int> descriptors{pidfd};
  if (memory >= 0) descriptors.push_back(memory);
  auto granted = LEAT_TRY(request(DescriptorRequestKind::kJoin, number, std::move(descriptors), 2));
  return Joined{std::move(granted.front()), std::move(granted.back())};
}

DescriptorServer::DescriptorServer(const std::string& path)
    : socket_(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)) {
  const sockaddr_un address = address_of(path);
  const int on = 1;
  if (!socket_ || ::setsockopt(socket_.get(), SOL_SOCKET, SO_PASSCRED, &on, sizeof on) != 0 ||
      ::bind(socket_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
    throw std::system_error(errno, std::generic_category(), path);
  }
}

std::optional<DescriptorServer::Request> DescriptorServer::receive() const {
  for (int i = 0; i < kGarbageAtOnce; ++i) {
    auto received = receive_from(socket_.get(), MSG_DONTWAIT);
    if (!received) return std::nullopt;
    ByteReader reader(received->view());
    const auto magic = reader.get<std::uint32_t>();
    const auto kind = reader.get<std::uint32_t>();
    const auto number = reader.get<std::uint64_t>();
    if (!reader.good() || !reader.at_end() || magic != kRequestMagic || kind < 1 || kind > 4 ||
        received->descriptors.empty()) {
      continue;
    }
    Request request;
    request.kind = static_cast<DescriptorRequestKind>(kind);
    request.number = number;
    request.pid = received->sender.pid;
    request.uid = received->sender.uid;
    request.reply = std::move(received->descriptors.front());
    received->descriptors.erase(received->descriptors.begin());
    request.descriptors = std::move(received->descriptors);
    return request;
  }
  return std::nullopt;
}

void DescriptorServer::grant(const Request& request, const std::vector<int>& descriptors) {
  std::array<char, kAnswerBytes> bytes{};
  ByteWriter(bytes.data()).put(kAnswerMagic);
  // It has room, or is no socket of a worker's.
  send_with(request.reply.get(), {bytes.data(), bytes.size()}, descriptors, MSG_DONTWAIT);
}

}  // namespace leat::proto
