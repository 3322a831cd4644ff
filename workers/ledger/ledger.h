// The ledger: what has been read and written, durably. SQLite (WAL, synchronous=FULL) in the state folder.
//
// One process, the writer, opens it as Ledger and writes it: everything that moves together moves in one transaction
// (commit), and only while the epoch it has begun is still the last one. All others open it as View: read only, in
// short transactions, during a run. One thread for each object. The only file that names SQLite is sqlite.cc.
//
// No other descriptor of ledger.db may be opened in a process that has it open here: closing that would drop SQLite's
// locks (POSIX).
//
// Faults: kRetry when the file system that holds it is failing (the caller tries again later), kFatal with exit code
// 74 (full disk, damage), 78 (not ours, of a later version) and a text that says what to do.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "proto/base/result.h"

namespace leat::ledger {

// Explicit values, never renumbered: they are in the file.
enum class SourceState : std::uint8_t {
  kReading = 1,  // begun, to be continued at `place`
  kDone = 2,
  kChanged = 3,  // it is not what it was: stopped at `place`, see reason
  kFailed = 4,   // damaged or unreadable from `place` on, see reason
};
std::string_view to_string(SourceState state);

// A position between two lines of a source, after what is committed.
struct Place {
  std::uint64_t lines = 0;             // before it
  std::uint64_t offset = 0;            // bytes before it, uncompressed
  std::uint64_t frame_offset = 0;      // compressed offset of the last frame start at or before it
  std::uint64_t frame_raw_offset = 0;  // and its uncompressed offset
  std::uint64_t tail_hash = 0;         // XXH3-64 of the tail_bytes uncompressed bytes before it
  std::uint32_t tail_bytes = 0;        // min(64 KiB, offset - frame_raw_offset)
  bool unterminated = false;           // the last line before it had no newline at the end of the file
};

// Of records. in = kept + dropped + dead, always.
struct Counts {
  std::uint64_t in = 0;
  std::uint64_t kept = 0;
  std::uint64_t dropped = 0;
  std::uint64_t dead = 0;
  std::uint64_t out = 0;           // written
  std::uint64_t by_reference = 0;  // of dead: their bytes are only in the source
  std::uint64_t out_bytes = 0;     // uncompressed
  void add(const Counts& more);
  bool adds_up() const { return in == kept + dropped + dead; }
  bool operator==(const Counts&) const = default;
};

// A source is what a path holds: path, and content by size, time and a hash of its head.
struct Source {
  std::uint64_t id = 0;    // from 1, never used again
  std::string path;        // absolute; bytes
  std::uint64_t size = 0;  // on disk, as last seen
  std::int64_t mtime_ns = 0;
  std::uint64_t head_hash = 0;   // XXH3-64 of the first head_bytes bytes on disk
  std::uint32_t head_bytes = 0;  // min(64 KiB, size when first opened)
  SourceState state = SourceState::kReading;
  Place place;
  Counts counts;
  std::string reason;  // kChanged, kFailed
  bool retry = false;  // kFailed: another run may have better luck
  std::string after;   // source.after as it is to be done once kDone: "", "delete", "move:/folder"
  bool after_done = false;
  // with `after`, kDone: id of the last output that may hold its records; commit sets it
  std::uint64_t held_by = 0;
  std::string run;             // the run that last changed it
  std::int64_t updated_s = 0;  // Unix time of the last change; commit sets it in the ledger
};

enum class OutputState : std::uint8_t {
  kWriting = 1,    // under its temporary name; `length` bytes count
  kComplete = 2,   // whole under its temporary name, to be given its own
  kPublished = 3,  // under its own name
};
std::string_view to_string(OutputState state);

struct Output {
  std::uint64_t id = 0;  // from 1; 0: not in the ledger yet, commit gives it one
  std::string target;    // absolute
  std::string temporary;
  std::uint64_t source = 0;  // 0: of all sources
  std::uint64_t n = 0;       // the number that {n} stands for
  OutputState state = OutputState::kWriting;
  std::uint64_t length = 0;        // bytes on disk
  std::uint64_t record_bytes = 0;  // uncompressed
  std::string run;
  std::int64_t updated_s = 0;
};

struct DeadLetterFile {
  std::string path;           // empty: none
  std::uint64_t length = 0;   // bytes that count: what is behind them was never committed
  std::uint64_t letters = 0;  // in them, of this ledger
};

// A run, from `leat run` to its end, whatever is started again in it.
struct Run {
  std::string id;
  std::int64_t started_s = 0;
  std::int64_t ended_s = 0;  // 0: not yet, or killed
  std::uint64_t epoch = 0;   // the last one
  Counts counts;             // committed in it
  std::uint64_t sources_done = 0;
  std::uint64_t sources_failed = 0;
  std::uint64_t sources_changed = 0;
};

// A presence scan, or a part of one: once a day the known sources are searched for. Ids.
struct Presence {
  std::vector<std::uint64_t> absent;   // not there any more
  std::vector<std::uint64_t> present;  // there again
  bool whole = false;                  // here it ends
  bool believed = false;  // and nothing said that what is not there may be on a mount that is unavailable
  std::size_t size() const { return absent.size() + present.size(); }
  bool empty() const { return size() == 0 && !whole; }
};
// A source that so many scans have missed, and one more, is forgotten. They are counted, not the time between them: no
// clock, however wrong, makes us forget.
inline constexpr std::uint64_t kScansKept = 90;

// What one commit makes durable, all or nothing. Rows are written whole.
struct Commit {
  std::uint64_t epoch = 0;
  Presence presence;                           // comes before the others
  std::vector<Source> sources;                 // new and changed; they are there
  std::vector<Output*> outputs;                // new (their id is filled in) and changed
  std::vector<std::uint64_t> forget_outputs;   // ids
  std::optional<DeadLetterFile> dead_letters;  // an empty path: forget what is known of it
  Run run;                                     // an empty id: none; started_s stays what begin_epoch made it
};

// Does a ledger that says it is `owner`'s belong to this pipeline file? Also if that one is gone: then it was moved.
bool belongs_to(const std::string& owner, const std::string& pipeline_file);

class View;

class Ledger {
 public:
  // Makes the folder's ledger if there is none; `pipeline` is the name it belongs to, and `file` (absolute; empty: not
  // told) the file. The caller holds the writer's lock (state_folder.h). All rows are checked, and all of the file if
  // the last end was not clean or it is small. kFatal, 74: it is damaged. 78: it is another pipeline's, another file's
  // that is still there, or a later version's.
  [[nodiscard]] static Result<Ledger> open(const std::string& folder, const std::string& pipeline,
                                           const std::string& file = {});
  Ledger(Ledger&&) noexcept;
  Ledger& operator=(Ledger&&) noexcept;
  ~Ledger();

  // Durably: a new epoch, greater than all before; a row for the run if it is new. From here on commits of earlier
  // epochs fail. What is to be done once a run (forget_all, start_over, set_fingerprint) comes before it, when
  // view().run(run) knows nothing yet: all of it can be done again, so a death in between loses nothing. Of runs the
  // last 1,000 are kept.
  [[nodiscard]] Result<std::uint64_t> begin_epoch(const std::string& run);
  // kFatal, 70: the epoch is not the last one any more.
  [[nodiscard]] Result<void> commit(const Commit& commit);

  // Forgets all sources, outputs and dead letters (files are the caller's business). Numbers are not used again.
  [[nodiscard]] Result<void> forget_all();
  // The source starts over: place, counts and state of a new one. Its identity is that of an empty file (size,
  // mtime_ns and head_bytes 0), so that whatever is at the path now continues from place 0. False: no such path.
  [[nodiscard]] Result<bool> start_over(const std::string& path);
  // Forgets the sources that kScansKept scans have missed, with their outputs, unless an output is not published yet.
  // Returns how many. After a commit with a whole presence scan, while no reader goes by the rows.
  [[nodiscard]] Result<std::uint64_t> prune();

  // Of filter, steps and sink at the last begin; nullopt: none yet.
  [[nodiscard]] Result<std::optional<std::uint64_t>> fingerprint();
  [[nodiscard]] Result<void> set_fingerprint(std::uint64_t fingerprint);

  // What a person should hear of open(), once; mostly empty.
  std::string take_note();

  View& view();  // the same questions, on the writer's connection

 private:
  struct Database;
  explicit Ledger(std::unique_ptr<Database> database);
  std::unique_ptr<Database> database_;
};

class View {
 public:
  // nullopt: there is no ledger in the folder. A folder that may not be written is no hindrance, unless a writer has died
  // there and not been replaced.
  [[nodiscard]] static Result<std::optional<View>> open(const std::string& folder);
  View(View&&) noexcept;
  View& operator=(View&&) noexcept;
  ~View();

  [[nodiscard]] Result<std::string> pipeline();
  [[nodiscard]] Result<std::string> file();  // the pipeline file it belongs to; empty: not known yet
  [[nodiscard]] Result<std::uint64_t> epoch();
  [[nodiscard]] Result<std::uint64_t> last_source_id();  // the highest ever used
  [[nodiscard]] Result<std::uint64_t> last_output_id();
  // In one transaction, by path in byte order; `each` returns false to stop, and returns soon: while it is open the
  // ledger's WAL can only grow.
  [[nodiscard]] Result<void> each_source(const std::function<bool(const Source&)>& each);
  // The next `count` by path in byte order, for slow readers.
  [[nodiscard]] Result<std::vector<Source>> sources_after(const std::string& path, std::size_t count);
  // Only what tells whether a file is done and unchanged, fast: a million rows a second.
  struct Done {
    std::string_view path;
    std::uint64_t size;
    std::int64_t mtime_ns;
  };
  [[nodiscard]] Result<void> each_done(const std::function<void(const Done&)>& each);
  // For a presence scan: sources that are not at work and not due, by id, behind the id `last`.
  struct Sought {
    std::uint64_t id = 0;
    std::string path;
    bool after_done = false;  // we have moved or deleted it
    bool absent = false;      // so far
  };
  [[nodiscard]] Result<std::vector<Sought>> sought_after(std::uint64_t last, std::size_t count);
  [[nodiscard]] Result<std::int64_t> looked_s();  // Unix time of the last sample; none yet: of the ledger
  [[nodiscard]] Result<std::optional<Source>> source_at(const std::string& path);
  [[nodiscard]] Result<std::optional<Source>> source_with(std::uint64_t id);
  // Of equal size and time, whatever their paths.
  [[nodiscard]] Result<std::vector<Source>> sources_like(std::uint64_t size, std::int64_t mtime_ns);
  // Not kDone, or with an `after` that is not done yet: what a new run has to check.
  [[nodiscard]] Result<std::vector<Source>> open_sources();
  // kDone, with an `after` that is not done, and nothing of it is in an output that is not published: by id, behind `last`.
  [[nodiscard]] Result<std::vector<Source>> after_due(std::uint64_t last, std::size_t count);
  // The first output of all sources that is not published, by id; 0: none.
  [[nodiscard]] Result<std::uint64_t> oldest_unfinished();
  // Not kPublished; and of a source or of a run, all.
  [[nodiscard]] Result<std::vector<Output>> unfinished_outputs();
  [[nodiscard]] Result<std::vector<Output>> outputs_of_source(std::uint64_t source);
  [[nodiscard]] Result<std::vector<Output>> outputs_of_run(const std::string& run);
  // The newest, should there be several.
  [[nodiscard]] Result<std::optional<Output>> output_at(const std::string& target);
  // The highest n of outputs of that source (0: of all), 0 when there is none.
  [[nodiscard]] Result<std::uint64_t> last_n(std::uint64_t source);
  [[nodiscard]] Result<std::optional<DeadLetterFile>> dead_letters();
  [[nodiscard]] Result<std::optional<Run>> run(const std::string& id);
  [[nodiscard]] Result<std::optional<Run>> last_run();
  struct Totals {
    std::uint64_t reading = 0, done = 0, changed = 0, failed = 0;
    Counts counts;
    std::int64_t last_done_s = 0;
  };
  [[nodiscard]] Result<Totals> totals();
  struct OutputTotals {
    std::uint64_t writing = 0, complete = 0, published = 0;
    std::uint64_t published_bytes = 0;  // on disk
  };
  [[nodiscard]] Result<OutputTotals> output_totals();

 private:
  friend class Ledger;
  struct Reader;
  explicit View(std::shared_ptr<Reader> reader);
  std::shared_ptr<Reader> reader_;
};

}  // namespace leat::ledger
