// Asking a leatd: the other end of server.h. It waits, and is for programs that have nothing else to do.
#pragma once

#include <chrono>
#include <optional>
#include <string>

#include "daemon/control/request.h"
#include "proto/base/fd.h"
#include "proto/base/result.h"

namespace leat::control {

inline constexpr std::size_t kMaxAnswerBytes = 64 * 1024 * 1024;

struct Received {
  int exit_code = 0;
  std::string text;  // for a person
  std::string data;  // JSON; empty after a stream
  bool streamed = false;
};

class Call {
 public:
  // Connects to RUNTIME_DIR/leatd.sock and sends the request. kFatal: no leatd is there, or we may not talk to it; the text
  // says what to do.
  [[nodiscard]] static Result<Call> begin(const std::string& runtime_dir, const Request& request);

  // Waits for the answer; for ever without a limit. What a stream brings is written to `output` as it comes. kFatal: it
  // did not come in time, or is none. Once only.
  [[nodiscard]] Result<Received> finish(std::optional<std::chrono::milliseconds> limit, int output);

 private:
  using Clock = std::chrono::steady_clock;
  Call(Fd socket, std::string path) : socket_(std::move(socket)), path_(std::move(path)) {}

  [[nodiscard]] Result<bool> receive(std::optional<Clock::time_point> deadline);  // false: the end
  [[nodiscard]] Result<Received> pass_on(int output);

  Fd socket_;
  std::string path_;
  std::string bytes_;
};

}  // namespace leat::control
