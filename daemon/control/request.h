// What `leat` asks of leatd: one line of JSON. The decoder is where hostile input ends: whatever comes out of it may be used
// as a key, and its arguments as those of `leat`, without another look.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "config/keys.h"
#include "proto/base/result.h"

namespace leat::control {

inline constexpr std::size_t kMaxRequestBytes = 64 * 1024;
inline constexpr std::uint32_t kMaxWorkers = config::kMaxProcessors;

struct Request {
  std::string command;                   // one of the table in request.cc
  std::string pipeline;                  // [A-Za-z0-9._-]{1,64}; empty: none was named (status, reload)
  std::string role;                      // scale: "processor"
  std::optional<std::uint32_t> workers;  // scale: 0 to kMaxWorkers; none: auto
  // sources, dead: options of `leat sources`; ls|show and options of `leat dead`
  std::vector<std::string> arguments;
  std::uint64_t ticket = 0;  // given by the server, see Later
};

// line: without its newline. kReject, 64: what was expected and what came.
[[nodiscard]] Result<Request> decode_request(std::string_view line);
std::string encode(const Request& request);  // with its newline

// Does the command change something, so that not everybody may give it?
bool changes(std::string_view command);

// May this be the name of a pipeline?
bool is_name(std::string_view text);

}  // namespace leat::control
