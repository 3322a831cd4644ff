// What the I/O thread tells the application thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "config/pipeline.h"
#include "workers/ledger/ledger.h"
#include "workers/reader/file.h"
#include "workers/reader/line_reader.h"
#include "workers/reader/listing.h"

namespace leat::reader {

// The first event, once: what the first (believed) listing found.
struct Listed {
  std::uint64_t files = 0;  // to be checked: new, half read, or not what they were
  std::uint64_t done = 0;   // match, and there is nothing to do
  std::uint64_t bytes = 0;  // on disk, of files; following: of files that may still have to settle
  std::vector<Skipped> skipped;
  bool output_left = false;  // earlier runs have left an output to be published, whatever is there to be read
};

// Sources have the numbers of the ledger; new ones get the next, in the order they are read. After SourceOpened come
// its chunks in order, then one of SourceEnded, SourceFailed and SourceChanged, or nothing: a growing file stays open
// while others are read, and continues when there is more. SourceFailed and SourceChanged may come without SourceOpened.
struct SourceOpened {
  std::uint64_t id = 0;
  File file;  // as it was when opened
  config::Compression compression = config::Compression::kNone;
  Position start;
};
struct SourceChunk {
  std::uint64_t id = 0;
  Chunk chunk;
};
struct SourceEnded {
  std::uint64_t id = 0;
  File file;     // as it was when its end was read
  Position end;  // lines in the source: end.line - 1; its uncompressed size: end.offset
};
struct SourceFailed {
  std::uint64_t id = 0;
  std::string path;
  Position at;  // behind the last line that was delivered
  std::string reason;
  // it is not (only) the source's fault, or it is not all there yet: another run may continue
  bool retry = false;
};
// It is not what it was when it was read: never read again until the user says so.
struct SourceChanged {
  std::uint64_t id = 0;
  std::string path;
  std::string reason;
};
// What was known as `from` has another name now. Comes before anything else of the source.
struct SourceMoved {
  std::uint64_t id = 0;
  std::string path;
  std::string from;
};
// source.after was carried out; or reason says why not.
struct SourceFinished {
  std::uint64_t id = 0;
  std::string path;
  std::string action;  // "delete" or "move"
  std::string to;      // where it is now; empty: nowhere
  std::string reason;
};
// A parts of a presence scan: of all known sources, those that are absent or back.
struct Presence {
  ledger::Presence presence;
};
// Everything was read: outputs are to be published, as source.after waits for them. Only SourceFinished and Presence follow.
struct InputRead {};
// For the user, of no consequence for the ledger.
struct Note {
  std::string text;
};
// The last event, once. error: what made an end of it (the mount did not come back in time).
struct End {
  bool stopped = false;  // by request_stop(), the input was not used up
  std::optional<Error> error;
  std::uint64_t done = 0;  // sources that match and were done before
};
using Event = std::variant<Listed, SourceOpened, SourceChunk, SourceEnded, SourceFailed, SourceChanged,
                           SourceMoved, SourceFinished, Presence, InputRead, Note, End>;

}  // namespace leat::reader
