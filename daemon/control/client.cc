#include "daemon/control/client.h"

#include <fmt/format.h>
#include <poll.h>
#include <pwd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <tuple>

#include "daemon/control/address.h"
#include "proto/base/files.h"
#include "proto/base/json.h"

namespace leat::control {

namespace {

constexpr char kEndOfStream = '\x1e';
constexpr std::size_t kMaxTrailer = 40;

std::string own_name() {
  const auto* entry = ::getpwuid(::getuid());
  return entry == nullptr ? "NAME" : entry->pw_name;
}

// A queue that is full has room again when the loop of leatd has gone round. Returns errno, or 0.
int connect_patiently(int socket, const sockaddr_un& address) {
  constexpr int kTries = 40;
  constexpr int kPauseMs = 50;
  for (int tries = 1;; ++tries) {
    if (::connect(socket, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0) return 0;
    if (errno != EAGAIN || tries == kTries) return errno;
    ::poll(nullptr, 0, kPauseMs);
  }
}

tl::unexpected<Error> cannot_connect(const std::string& path, int error) {
  if (error == ENOENT || error == ECONNREFUSED || error == ENOTDIR) {
    return fail(Fault::kFatal,
                fmt::format("no leatd answers at {}: is it running? (systemctl status leatd)", path));
  }
  if (error == EACCES || error == EPERM) {
    return fail(
        Fault::kFatal,
        fmt::format("may not talk to the leatd at {}: you must be in the group leat (sudo usermod -aG leat "
                    "{}, then log in again) or use sudo",
                    path, own_name()));
  }
  if (error == EAGAIN) {
    return fail(Fault::kFatal,
                fmt::format("the leatd at {} does not take any more requests: it hangs, or is asked "
                            "too much (journalctl -u leatd)",
                            path));
  }
  return fail(Fault::kFatal, fmt::format("the leatd at {}: {}", path, std::strerror(error)));
}

// nullopt: it is no answer.
std::optional<Received> decode_answer(std::string_view line) {
  const auto document = parse_json_object(line);
  if (!document) return std::nullopt;
  const JsonValue answer = document->root();
  Received received;
  received.streamed = bool{answer["stream"]};
  if (received.streamed) return received;
  const auto code = answer["exit_code"].as_number();
  if (!code || *code > 255) return std::nullopt;
  received.exit_code = static_cast<int>(*code);
  received.text = answer.text("text");
  received.data = answer["data"].to_json();
  return received;
}

// How much of the bytes cannot be the beginning of the last line of a stream, and may be passed on.
std::size_t before_trailer(std::string_view bytes) {
  std::size_t mark = bytes.rfind(kEndOfStream);
  return mark == std::string_view::npos || bytes.size() - mark > kMaxTrailer ? bytes.size() : mark;
}

}  // namespace

Result<Call> Call::begin(const std::string& runtime_dir, const Request& request) {
  std::string path = socket_path(runtime_dir);
  auto address = LEAT_TRY(address_of(path));
  Fd socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!socket) return cannot_connect(path, errno);
  if (int error = connect_patiently(socket.get(), address); error != 0) return cannot_connect(path, error);
  std::string line = encode(request);
  std::string_view left = line;
  while (!left.empty()) {
    ssize_t count = ::send(socket.get(), left.data(), left.size(), MSG_NOSIGNAL);
    // A server that has enough may have said why before it closed.
    if (count < 0 && (errno == EPIPE || errno == ECONNRESET)) break;
    if (count < 0 && errno != EINTR) return cannot_connect(path, errno);
    if (count > 0) left.remove_prefix(static_cast<std::size_t>(count));
  }
  return Call(std::move(socket), std::move(path));
}

Result<bool> Call::receive(std::optional<Clock::time_point> deadline) {
  std::array<char, 16 * 1024> chunk{};
  while (true) {
    ssize_t count = ::recv(socket_.get(), chunk.data(), chunk.size(), 0);
    if (count > 0) {
      bytes_.append(chunk.data(), static_cast<std::size_t>(count));
      return true;
    }
    if (count == 0 || errno == ECONNRESET) return false;
    if (errno != EAGAIN && errno != EINTR) return cannot_connect(path_, errno);
    int wait_ms = -1;
    if (deadline) {
      auto left = std::chrono::ceil<std::chrono::milliseconds>(*deadline - Clock::now());
      wait_ms = static_cast<int>(std::max<std::int64_t>(left.count(), 0));
    }
    pollfd wait{socket_.get(), POLLIN, 0};
    if (::poll(&wait, 1, wait_ms) == 0) {
      return fail(
          Fault::kFatal,
          fmt::format("the leatd at {} is there but does not answer in time (journalctl -u leatd)", path_));
    }
  }
}

Result<Received> Call::finish(std::optional<std::chrono::milliseconds> limit, int output) {
  std::optional<Clock::time_point> deadline;
  if (limit) deadline = Clock::now() + *limit;
  std::size_t end = std::string::npos;
  while ((end = bytes_.find('\n')) == std::string::npos && bytes_.size() <= kMaxAnswerBytes) {
    auto more = LEAT_TRY(receive(deadline));
    if (!more) break;
  }
  if (end == std::string::npos) {
    return fail(Fault::kFatal, fmt::format("the leatd at {} went away before it had answered", path_));
  }
  auto received = decode_answer(std::string_view(bytes_).substr(0, end));
  if (!received) {
    return fail(Fault::kFatal, fmt::format("what answers at {} is no leatd of this version", path_),
                kExitBug);
  }
  if (!received->streamed) return *std::move(received);
  bytes_.erase(0, end + 1);
  return pass_on(output);
}

Result<Received> Call::pass_on(int output) {
  while (true) {
    std::size_t ready = before_trailer(bytes_);
    if (const int error = write_all(output, std::string_view(bytes_).substr(0, ready)); error != 0) {
      return fail(Fault::kFatal, fmt::format("cannot write: {}", std::strerror(error)));
    }
    bytes_.erase(0, ready);
    auto more = LEAT_TRY(receive(std::nullopt));
    if (!more) break;
  }
  auto received = bytes_.empty() ? std::nullopt : decode_answer(std::string_view(bytes_).substr(1));
  if (!received) {
    std::ignore = write_all(output, bytes_);
    return fail(Fault::kFatal, fmt::format("the leatd at {} went away before its answer was whole", path_));
  }
  received->streamed = true;
  return *std::move(received);
}

}  // namespace leat::control
