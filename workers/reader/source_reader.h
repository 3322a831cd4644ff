// Reads one source from a place to where it ends for now, through outages: the events in between go into the queue.
//
// The descriptor, not the path, is what is read. A path that is gone or holds another file by the end of it was moved,
// deleted or replaced: what was read stands. What is written to while it is read does not.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <unordered_set>

#include "workers/reader/decoder.h"
#include "workers/reader/known.h"
#include "workers/reader/shared.h"

namespace leat::reader {

// What came of it.
struct Outcome {
  enum class Kind : std::uint8_t {
    kEnded,    // read to its end
    kFailed,   // see reason and retry
    kChanged,  // see reason
    kWaits,    // for more to be written, see reason; nothing is wrong
    kGone,     // following: it could not be opened as it is not there any more
    kStopped,
    kGivenUp,  // the mount is unavailable for too long, see reason
  };
  Kind kind = Kind::kEnded;
  std::string reason{};
  bool retry = false;
  bool more = false;  // kWaits: only for its turn
};

class SourceReader {
 public:
  explicit SourceReader(std::shared_ptr<ReadAhead::Shared> shared);

  // decision: kRead. listed: what the listing showed at the path.
  Outcome read(const Decision& decision, const File& listed);

  // Of the last one: what it is known as from now on, and the place behind the last line that was delivered.
  const File& file() const { return file_; }
  const Position& position() const { return position_; }

 private:
  Outcome read_patiently();
  Result<Outcome> read_through();
  Result<Outcome> read_lines(Opened& opened, LineReader& lines);
  Result<Opened> open();
  std::optional<Outcome> compare(const Opened& opened) const;
  Outcome ended(const Opened& opened);
  Outcome refused(const Error& error);
  Outcome nul_run(NulRun run) const;
  Outcome changed(const std::string& what) const;
  void note_replaced(const File& now);
  void progress(const ByteSource& source);
  bool growing() const { return options_.source.growing; }

  std::shared_ptr<ReadAhead::Shared> shared_;
  const ReadAhead::Options& options_;
  Decoders decoders_;
  std::uint64_t id_ = 0;
  Mark head_;  // the file must begin so
  Position position_;
  File file_;
  std::optional<File> first_;               // as it was when it was opened first
  std::optional<File> now_;                 // as its descriptor showed it when the last error came
  bool cut_short_ = false;                  // the last error was only that it ends too early
  std::unordered_set<std::uint64_t> open_;  // sources that wait to be continued: told as opened already
  std::uint64_t consumed_before_ = 0;       // of the sources before
};

}  // namespace leat::reader
