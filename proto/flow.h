// The small binary messages that flow against the data: credits and accepted positions. PROTOCOL.md has the
// bytes.
#pragma once

#include <cstdint>
#include <string_view>

#include "proto/channel.h"
#include "proto/result.h"

namespace leat::proto {

// A worker of a pool to the stage that deals to it: one batch less that I owe.
struct Credit {
  std::uint64_t epoch = 0;
  std::uint64_t sequence = 0;
  std::uint32_t worker = 0;      // index in the pool, from 0
  std::uint32_t instance = 0;    // which worker of that index
  std::uint32_t service_us = 0;  // what the batch took
  std::uint32_t records = 0;     // that came in
  std::uint32_t dealt_to = 0;    // the instance it was passed on to; 0: the writer
  bool refused = false;          // it could not be decoded, here or further on: send it again
};

// The writer to the reader. Everything up to `accepted` is, in order, in the output's hands; everything up to
// `committed` is durable.
struct Accepted {
  std::uint64_t epoch = 0;
  std::uint64_t accepted = 0;
  std::uint64_t committed = 0;
  std::uint32_t process_us = 0;  // service times of the last accepted batch, for the size of the next ones
  std::uint32_t records = 0;     // and the records that went into it
};

Message encode(const Credit& credit);
Message encode(const Accepted& accepted);
[[nodiscard]] Result<Credit> decode_credit(std::string_view message);
[[nodiscard]] Result<Accepted> decode_accepted(std::string_view message);

}  // namespace leat::proto
