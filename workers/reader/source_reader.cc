// An outage is waited out in one place, read_patiently(): the file is opened again at the last position, which is as
// good as continuing from an earlier run: head and tail must be what they were.
#include "workers/reader/source_reader.h"

#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <utility>

namespace leat::reader {
namespace {

using Doing = ReadAhead::Doing;
using Kind = Outcome::Kind;

// Compressed data may end in some NUL bytes; so many of them are room that was reserved.
constexpr std::uint64_t kSector = 512;

constexpr std::chrono::milliseconds kMoment{20};

std::optional<File> stat_file(const std::string& path, const Fd& fd) {
  struct stat found;
  if (!fd || ::fstat(fd.get(), &found) != 0) return std::nullopt;
  return make_file(path, found);
}

std::string bytes_text(const File& before, const File& now) {
  return fmt::format("it had {} bytes and has {}", before.size, now.size);
}

}  // namespace

SourceReader::SourceReader(std::shared_ptr<ReadAhead::Shared> shared)
    : shared_(std::move(shared)), options_(shared_->options), decoders_(options_.zstd_window_bytes) {}

Outcome SourceReader::read(const Decision& decision, const File& listed) {
  id_ = decision.id;
  head_ = decision.head;
  position_ = decision.at;
  file_ = listed;
  first_.reset();
  Outcome outcome = read_patiently();
  if (outcome.kind != Kind::kWaits) open_.erase(id_);
  shared_->board.clear_fault();
  if (first_) consumed_before_ += first_->size;
  return outcome;
}

Outcome SourceReader::read_patiently() {
  const std::string& path = file_.path;
  Outage outage;
  for (;;) {
    const Position before = position_;
    Result<Outcome> done = read_through();
    if (shared_->queue.stopped()) return {Kind::kStopped};
    if (done) return *std::move(done);
    const Error& error = done.error();
    if (!(position_ == before)) outage = Outage{};
    const bool mounted = shared_->outages.mount_is_there();
    const bool answers = mounted && ::access(path.c_str(), F_OK) == 0;
    // What cannot be found while the mount is in fault is not gone.
    const bool unavailable = error.fault == Fault::kRetry || !mounted || (outage.running() && !answers);
    if (!unavailable && !answers && !first_ && options_.follow) return {Kind::kGone};
    if (!unavailable) return refused(error);
    if (!shared_->outages.retry(outage, path, error.text)) return {Kind::kStopped};
    if (!outage.over) continue;
    if (answers) return {Kind::kFailed, error.text, true};
    if (!options_.follow) return {Kind::kGivenUp, error.text};
  }
}

Result<Opened> SourceReader::open() {
  shared_->board.set(Doing::kOpening, file_.path);
  if (options_.open) return options_.open(file_.path, position_);
  return decoders_.open(file_.path, options_.source.compression, position_);
}

// Opens and reads from position_ on.
Result<Outcome> SourceReader::read_through() {
  now_.reset();
  cut_short_ = false;
  Opened opened = LEAT_TRY(open());
  if (std::optional<Outcome> other = compare(opened)) return *std::move(other);
  LineReader::Options how{options_.source.max_record_bytes, position_};
  how.hold_nuls = opened.compression == config::Compression::kNone;
  how.hold_unterminated = growing();
  LineReader lines(*opened.source, *options_.payloads, how);
  shared_->board.set(Doing::kReading, file_.path);
  Result<Outcome> outcome = read_lines(opened, lines);
  if (!outcome) {
    now_ = stat_file(file_.path, opened.fd);
    cut_short_ = opened.source->cut_short();
  }
  return outcome;
}

// Is it the file that was begun?
std::optional<Outcome> SourceReader::compare(const Opened& opened) const {
  if (!begins_with(opened.head, head_)) {
    return changed(fmt::format("its first {} bytes are not those that it had when it was read", head_.bytes));
  }
  const bool plain = opened.compression == config::Compression::kNone;
  if ((plain ? position_.offset : position_.frame.offset) > opened.file.size) {
    return changed(
        fmt::format("it ends at {} bytes, before the place up to which it was read", opened.file.size));
  }
  if (!first_ || growing()) return std::nullopt;
  if (opened.file.size < first_->size) {
    return changed("it was truncated during an outage: " + bytes_text(*first_, opened.file));
  }
  if (opened.file.size == first_->size && opened.file.mtime_ns != first_->mtime_ns) {
    return changed("it was written to during an outage");
  }
  return std::nullopt;
}

Result<Outcome> SourceReader::read_lines(Opened& opened, LineReader& lines) {
  const Position start = position_;
  // From the start there is nothing to be compared, and a file that does not answer is at least told.
  const Result<void> begun = start.offset > 0 ? lines.begin() : Result<void>();
  if (!begun) {
    if (lines.changed()) return changed(begun.error().text);
    if (begun.error().fault != Fault::kReject) return tl::unexpected(begun.error());
    return changed(fmt::format("what was read of it cannot be read any more: {}", begun.error().text));
  }
  position_ = lines.position();
  if (!first_) {
    first_ = opened.file;
    file_ = opened.file;
    head_ = opened.file.head;
    const bool opens = open_.insert(id_).second;
    if (opens && !shared_->queue.push(SourceOpened{id_, opened.file, opened.compression, start}))
      return Outcome{Kind::kStopped};
  }
  for (;;) {
    if (!shared_->queue.has_room(1)) shared_->board.set(Doing::kBlocked, file_.path);
    if (!shared_->queue.wait_for_room()) return Outcome{Kind::kStopped};
    shared_->board.set(Doing::kReading, file_.path);
    std::optional<Chunk> chunk = LEAT_TRY(lines.next(shared_->target.load(std::memory_order_relaxed)));
    progress(*opened.source);
    position_ = lines.position();
    if (!chunk) break;
    if (!shared_->queue.has_room(chunk->payload.size())) shared_->board.set(Doing::kBlocked, file_.path);
    if (!shared_->queue.push(SourceChunk{id_, std::move(*chunk)})) return Outcome{Kind::kStopped};
    // One that grows as fast as it is read must not keep the others waiting.
    if (growing() && options_.follow && opened.source->consumed() > opened.file.size) {
      return Outcome{Kind::kWaits, "", false, true};
    }
  }
  if (lines.held() == LineReader::Held::kNuls) return nul_run({position_.offset, 1});
  if (lines.held() == LineReader::Held::kUnterminated) {
    return Outcome{Kind::kWaits,
                   fmt::format("its last line, from offset {} on, has no newline yet", position_.offset)};
  }
  return ended(opened);
}

// Everything was read. Has somebody written to it meanwhile?
Outcome SourceReader::ended(const Opened& opened) {
  std::optional<File> now = stat_file(file_.path, opened.fd);
  if (now && now->size == first_->size && now->mtime_ns != first_->mtime_ns) {
    // A write that makes it longer shows first in its time, and a moment later in its size.
    (void)shared_->queue.sleep(kMoment);
    now = stat_file(file_.path, opened.fd);
  }
  if (now && !now->same_content(*first_)) {
    if (now->size < first_->size)
      return changed("it was truncated while it was read: " + bytes_text(*first_, *now));
    if (now->size == first_->size && !growing()) return changed("it was written to while it was read");
    // What came after its end was read is found to be more than what is known of it.
    if (opened.source->consumed() == now->size) {
      file_.size = now->size;
      file_.mtime_ns = now->mtime_ns;
    }
    if (!growing()) {
      (void)shared_->queue.push(
          Note{fmt::format("{}: it grew while it was read: {}", file_.path, bytes_text(*first_, *now))});
    }
  }
  if (now) note_replaced(*now);
  if (growing() && options_.follow) return {Kind::kWaits};
  return {Kind::kEnded};
}

void SourceReader::note_replaced(const File& now) {
  struct stat found;
  if (options_.follow || ::stat(file_.path.c_str(), &found) != 0) return;
  const File at_path = make_file(file_.path, found);
  if (at_path.inode == now.inode || at_path.same_content(now)) return;
  (void)shared_->queue.push(Note{fmt::format(
      "{}: another file has taken its place while it was read; what was read is the old one, of {} "
      "bytes, the new one has {}",
      file_.path, now.size, at_path.size)});
}

// It cannot be read on, and that is not the mount's fault.
Outcome SourceReader::refused(const Error& error) {
  if (first_ && now_ && !growing()) {
    if (now_->size < first_->size)
      return changed("it was truncated while it was read: " + bytes_text(*first_, *now_));
    if (now_->size > first_->size) return {Kind::kFailed, error.text + "; it grew meanwhile", true};
    if (now_->mtime_ns != first_->mtime_ns) {
      return changed("it was written to while it was read, and is damaged now: " + error.text);
    }
  }
  if (first_ && now_ && growing() && now_->size < first_->size) {
    return changed("it was truncated while it was read: " + bytes_text(*first_, *now_));
  }
  if (growing() && cut_short_) return {Kind::kWaits, error.text};
  if (first_) {
    if (const Result<NulRun> run = nul_run_at_end(file_.path); run && run->bytes >= kSector)
      return nul_run(*run);
  }
  // One that could not even be opened may be let in without a change of its own.
  return {Kind::kFailed, error.text, !first_};
}

// Room that was reserved and is not written yet reads as NUL bytes.
Outcome SourceReader::nul_run(NulRun run) const {
  if (const Result<NulRun> now = nul_run_at_end(file_.path); now && now->bytes > 0) run = *now;
  return Outcome{growing() ? Kind::kWaits : Kind::kFailed,
                 fmt::format("{} ends in {} NUL bytes at offset {}: not written yet; run again", file_.path,
                             run.bytes, run.offset),
                 true};
}

Outcome SourceReader::changed(const std::string& what) const {
  return {Kind::kChanged, changed_text(file_.path, what, position_, options_.known->remedy())};
}

void SourceReader::progress(const ByteSource& source) {
  shared_->board.read_up_to(consumed_before_ + source.consumed());
}

}  // namespace leat::reader
