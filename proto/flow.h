// The small binary messages that flow against the data: credits and accepted positions. PROTOCOL.md has the
// bytes.
#pragma once

#include <cstdint>
#include <string_view>

#include "proto/base/result.h"
#include "proto/channel.h"

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
  std::uint32_t process_us = 0;   // service times of the last accepted batch, for the size of the next ones
  std::uint32_t records = 0;      // and the records that went into it
  std::uint64_t input_bytes = 0;  // and their bytes in the source
  std::uint32_t growth = 0;       // the most that a batch has grown since the last message, in thousandths
  // Of the batch after `accepted`: how much of it has been taken.
  std::uint32_t part = 0;        // parts; 0: nothing of it
  std::uint32_t wanted = 0;      // its next record needs a grant of so many bytes; 0: not known
  std::uint64_t cut_line = 0;    // lines of the source before the rest of it
  std::uint64_t cut_offset = 0;  // and bytes
};

Message encode(const Credit& credit);
Message encode(const Accepted& accepted);
[[nodiscard]] Result<Credit> decode_credit(std::string_view message);
[[nodiscard]] Result<Accepted> decode_accepted(std::string_view message);

}  // namespace leat::proto
