// What a line that an exec child printed means. exec.h states the protocol.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "workers/stage/json/index.h"
#include "workers/stage/json/scan.h"

namespace leat::processor {

struct Answer {
  enum class Kind : std::uint8_t { kRecords, kDropped, kRejected, kJunk };
  Kind kind = Kind::kJunk;
  std::string_view bytes = {};   // kRecords: whole lines, each ended by '\n'
  std::uint32_t records = 0;     // kRecords: how many lines
  std::string_view reason = {};  // kRejected, kJunk
};

class AnswerReader {
 public:
  explicit AnswerReader(
      std::string name);  // "exec python3", in front of the reasons that are not the child's own

  // Some lines, each ended by '\n', with kTailPadding readable bytes behind. They are the caller's and stay
  // until the last next(); next() writes into them.
  void begin(std::span<char> lines);
  // The next line: lines[begin, end), `end` being its '\n'. The answer points into the lines and into this
  // object, until the next call.
  Answer next(std::size_t begin, std::size_t end);

 private:
  Answer object(std::size_t begin, std::size_t end, const json::Value& error);
  Answer array(std::size_t begin, std::size_t end);
  Answer junk(std::string_view line);

  const std::string name_;
  json::Scanner scanner_;
  json::Index elements_;
  std::span<char> lines_;
  std::string reason_;
};

}  // namespace leat::processor
