// A line of a dead-letter file, as the writer writes it, and `leat dead` and a replay read it (PROTOCOL.md):
//
//   {"source":"/in/a.jsonl","line":7,"offset":2101,"stage":"filter","reason":"...","attempts":1,"record":"..."}
//
// Text that is not valid UTF-8 stands as base64 under its key with "_base64" behind: "record_base64". A record that was too
// long to be carried has "length" instead: it is found at its offset.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "proto/buffer.h"

namespace leat::proto {

// Text: std::string, or std::string_view for what lives for one call.
template <class Text>
struct DeadLetterOf {
  Text source;
  std::uint64_t line = 0;    // from 1
  std::uint64_t offset = 0;  // uncompressed bytes
  Text stage;
  Text reason;
  std::uint64_t attempts = 1;
  std::optional<Text>
      record;  // without its newline; none: by reference, `length` bytes at `offset` of the source
  std::uint64_t length = 0;

  template <class Archive, class Self>
  static void fields(Archive& archive, Self& self) {
    archive("source", self.source);
    archive("line", self.line);
    archive("offset", self.offset);
    archive("stage", self.stage);
    archive("reason", self.reason);
    archive("attempts", self.attempts);
    archive.one_of("record", self.record, "length", self.length);
  }
};
using DeadLetter = DeadLetterOf<std::string>;
using DeadLetterView = DeadLetterOf<std::string_view>;

// Appends the line with its newline: at most 6 times the record, and the rest. Out: a std::string or a Buffer.
template <class Out, class Text>
void append_line(Out& out, const DeadLetterOf<Text>& letter);
extern template void append_line(Buffer& out, const DeadLetterView& letter);
extern template void append_line(std::string& out, const DeadLetter& letter);

// A line without its newline; nullopt: it is no dead letter. Keys that it does not know are skipped.
std::optional<DeadLetter> parse_dead_letter(std::string_view line);

}  // namespace leat::proto
