#include "workers/reader/batches.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <string>
#include <utility>

#include "proto/source_event.h"

namespace leat::reader {

namespace {

const char* name_of(config::Compression compression) {
  switch (compression) {
    case config::Compression::kZstd:
      return "zstd";
    case config::Compression::kGzip:
      return "gzip";
    default:
      return "none";
  }
}

// Bytes of the first `lines` lines of a text of whole ones.
std::size_t first_lines(std::string_view text, std::size_t lines) {
  std::size_t length = 0;
  for (; lines > 0 && length < text.size(); --lines) length = text.find('\n', length) + 1;
  return length;
}

void set_position(proto::Header& header, const Position& at) {
  header.end_line = at.line - 1;
  header.end_offset = at.offset;
  header.frame_offset = at.frame.offset;
  header.frame_raw_offset = at.frame.raw_offset;
  header.tail_hash = at.tail.hash;
  header.tail_bytes = at.tail.bytes;
  if (at.unterminated) header.flags |= proto::Header::kUnterminated;
}

}  // namespace

void Batches::take(Event event) {
  if (auto* chunk = std::get_if<SourceChunk>(&event)) {
    source_ = chunk->id;
    chunk_ = std::move(chunk->chunk);
    cut_ = 0;
    return;
  }
  if (const auto* opened = std::get_if<SourceOpened>(&event)) frame_ = opened->start.frame;
  event_ = std::visit([this](const auto& what) { return seal(what); }, event);
}

std::optional<proto::Batch> Batches::seal(const SourceOpened& opened) const {
  const File& file = opened.file;
  return seal_event(opened.id,
                    proto::SourceOpened{file.path, file.size, file.mtime_ns, file.head.bytes, file.head.hash,
                                        name_of(opened.compression)},
                    &opened.start);
}

std::optional<proto::Batch> Batches::seal(const SourceEnded& ended) const {
  const File& file = ended.file;
  return seal_event(
      ended.id, proto::SourceEnded{file.path, file.size, file.mtime_ns, ended.end.line - 1, ended.end.offset},
      &ended.end);
}

std::optional<proto::Batch> Batches::seal(const SourceFailed& failed) const {
  return seal_event(
      failed.id, proto::SourceFailed{failed.path, failed.at.offset, failed.reason, failed.retry}, &failed.at);
}

std::optional<proto::Batch> Batches::seal(const SourceChanged& changed) const {
  return seal_event(changed.id, proto::SourceChanged{changed.path, changed.reason});
}

std::optional<proto::Batch> Batches::seal(const SourceMoved& moved) const {
  return seal_event(moved.id, proto::SourceMoved{moved.path, moved.from});
}

std::optional<proto::Batch> Batches::seal(const SourceFinished& finished) const {
  return seal_event(finished.id,
                    proto::SourceFinished{finished.path, finished.action, finished.to, finished.reason});
}

std::optional<proto::Batch> Batches::seal(const Presence& event) const {
  const ledger::Presence& presence = event.presence;
  return seal_event(
      0, proto::SourcesScanned{presence.absent, presence.present, presence.whole, presence.believed});
}

std::optional<proto::Batch> Batches::seal(const InputRead& /*read*/) const {
  return seal_event(0, proto::InputRead{});
}

proto::Batch Batches::end_of_input(bool stopped, std::uint64_t done) const {
  return seal_event(0, proto::EndOfInput{stopped, done});
}

template <class Event>
proto::Batch Batches::seal_event(std::uint64_t source, Event event, const Position* at) const {
  proto::Header header = common_;
  header.kind = Event::kKind;
  header.source = source;
  if (at != nullptr) set_position(header, *at);
  return proto::Batch::seal(header, proto::encode_payload(std::move(event)));
}

proto::Batch Batches::oversize(const Chunk& chunk) const {
  const Oversize& line = chunk.oversize.front();
  proto::Header header = common_;
  header.source = source_;
  header.first_line = line.line;
  header.first_offset = line.offset;
  header.in = 1;
  header.rejected = 1;
  set_position(header, chunk.after());
  std::string reason =
      fmt::format("longer than source.max_record: {} bytes, {} are allowed", line.length, max_record_bytes_);
  proto::Reject reject;
  reject.stage = proto::Stage::kReader;
  reject.by_reference = true;
  reject.record_bytes = line.length;
  reject.reason = reason;
  Buffer rejects(256);
  proto::encode_reject(rejects, reject);
  return proto::Batch::seal(header, Buffer(), {}, rejects.view());
}

proto::Batch Batches::records(Chunk chunk) {
  proto::Header header = common_;
  header.source = source_;
  header.first_line = chunk.first_line;
  header.first_offset = chunk.first_offset;
  set_position(header, chunk.after());
  return proto::Batch::seal(header, std::move(chunk.payload));
}

// The next lines of chunk_ as a chunk of their own. What is known of frames is known at the end of the chunk
// only: in the middle of it the position names the one of the chunk before. The tail is of the bytes of the chunk alone,
// so it may be shorter than it could be; only chunks that were read before the target fell are cut.
Chunk Batches::cut(std::size_t target_bytes, std::size_t target_lines) {
  const char* begin = chunk_->payload.data() + cut_;
  std::size_t left = chunk_->payload.size() - cut_;
  std::size_t length = left;
  if (target_bytes < left) {
    const void* last = ::memrchr(begin, '\n', target_bytes);
    if (last == nullptr) last = std::memchr(begin, '\n', left);
    length = static_cast<std::size_t>(static_cast<const char*>(last) - begin) + 1;
  }
  if (target_lines < length) length = first_lines({begin, length}, target_lines);
  Chunk piece;
  piece.payload = payloads_.payload(length);
  piece.payload.append(begin, length);
  piece.first_line = chunk_->first_line;
  piece.first_offset = chunk_->first_offset;
  piece.line_count = count_newlines(begin, length);
  bool last_piece = length == left;
  piece.end_offset = last_piece ? chunk_->end_offset : piece.first_offset + length;
  piece.unterminated = last_piece && chunk_->unterminated;
  piece.frame = last_piece ? chunk_->frame : frame_;
  piece.tail = chunk_->tail;
  if (!last_piece) {
    const std::size_t tail = std::min(cut_ + length, kTailBytes);
    piece.tail = mark_of({begin + length - tail, tail});
  }
  chunk_->first_line += piece.line_count;
  chunk_->first_offset = piece.end_offset;
  cut_ += length;
  return piece;
}

std::optional<proto::Batch> Batches::next(std::size_t target_bytes, std::size_t target_lines) {
  if (event_) return std::exchange(event_, std::nullopt);
  if (!chunk_) return std::nullopt;
  if (!chunk_->oversize.empty()) {
    frame_ = chunk_->frame;
    proto::Batch batch = oversize(*chunk_);
    chunk_.reset();
    return batch;
  }
  // A little too long is not worth a copy.
  const bool fits = chunk_->payload.size() / 2 <= target_bytes && chunk_->line_count / 2 <= target_lines;
  if (cut_ == 0 && (fits || chunk_->line_count == 1)) {
    frame_ = chunk_->frame;
    return records(*std::exchange(chunk_, std::nullopt));
  }
  proto::Batch batch = records(cut(target_bytes, target_lines));
  if (cut_ == chunk_->payload.size()) {
    frame_ = chunk_->frame;
    chunk_.reset();
  }
  return batch;
}

}  // namespace leat::reader
