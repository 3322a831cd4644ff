#include "workers/reader/batches.h"

#include <fmt/format.h>
#include <rapidjson/stringbuffer.h>
#include <rapidjson/writer.h>

#include <algorithm>
#include <cstring>
#include <string>
#include <utility>

namespace leat::reader {

namespace {

// A JSON object as the payload of an event.
class EventObject {
 public:
  EventObject() { json_.StartObject(); }
  EventObject& text(const char* key, const std::string& value) {
    json_.Key(key);
    json_.String(value.data(), static_cast<rapidjson::SizeType>(value.size()));
    return *this;
  }
  EventObject& identity(const File& file) {
    return text("path", file.path)
        .number("size", file.size)
        .number("mtime_ns", static_cast<std::uint64_t>(file.mtime_ns));
  }
  EventObject& number(const char* key, std::uint64_t value) {
    json_.Key(key);
    json_.Uint64(value);
    return *this;
  }
  EventObject& numbers(const char* key, const std::vector<std::uint64_t>& values) {
    json_.Key(key);
    json_.StartArray();
    for (const std::uint64_t value : values) json_.Uint64(value);
    json_.EndArray();
    return *this;
  }
  EventObject& boolean(const char* key, bool value) {
    json_.Key(key);
    json_.Bool(value);
    return *this;
  }
  Buffer finish() {
    json_.EndObject();
    Buffer payload(buffer_.GetSize(), proto::kHeaderBytes);
    payload.append(buffer_.GetString(), buffer_.GetSize());
    return payload;
  }

 private:
  rapidjson::StringBuffer buffer_;
  rapidjson::Writer<rapidjson::StringBuffer> json_{buffer_};
};

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
  proto::Header header = of(proto::BatchKind::kSourceOpened, opened.id);
  set_position(header, opened.start);
  return proto::Batch::seal(header, EventObject()
                                        .identity(opened.file)
                                        .number("head_bytes", opened.file.head.bytes)
                                        .number("head_hash", opened.file.head.hash)
                                        .text("compression", name_of(opened.compression))
                                        .finish());
}

std::optional<proto::Batch> Batches::seal(const SourceEnded& ended) const {
  proto::Header header = of(proto::BatchKind::kSourceEnded, ended.id);
  set_position(header, ended.end);
  return proto::Batch::seal(header, EventObject()
                                        .identity(ended.file)
                                        .number("lines", ended.end.line - 1)
                                        .number("bytes", ended.end.offset)
                                        .finish());
}

std::optional<proto::Batch> Batches::seal(const SourceFailed& failed) const {
  proto::Header header = of(proto::BatchKind::kSourceFailed, failed.id);
  set_position(header, failed.at);
  return proto::Batch::seal(header, EventObject()
                                        .text("path", failed.path)
                                        .number("offset", failed.at.offset)
                                        .text("reason", failed.reason)
                                        .boolean("retry", failed.retry)
                                        .finish());
}

std::optional<proto::Batch> Batches::seal(const SourceChanged& changed) const {
  return proto::Batch::seal(of(proto::BatchKind::kSourceChanged, changed.id),
                            EventObject().text("path", changed.path).text("reason", changed.reason).finish());
}

std::optional<proto::Batch> Batches::seal(const SourceMoved& moved) const {
  return proto::Batch::seal(of(proto::BatchKind::kSourceMoved, moved.id),
                            EventObject().text("path", moved.path).text("from", moved.from).finish());
}

std::optional<proto::Batch> Batches::seal(const SourceFinished& finished) const {
  return proto::Batch::seal(of(proto::BatchKind::kSourceFinished, finished.id),
                            EventObject()
                                .text("path", finished.path)
                                .text("action", finished.action)
                                .text("to", finished.to)
                                .text("reason", finished.reason)
                                .finish());
}

std::optional<proto::Batch> Batches::seal(const Looked& looked) const {
  return proto::Batch::seal(of(proto::BatchKind::kLook, 0), EventObject()
                                                                .numbers("absent", looked.look.absent)
                                                                .numbers("back", looked.look.back)
                                                                .boolean("whole", looked.look.whole)
                                                                .boolean("believed", looked.look.believed)
                                                                .finish());
}

std::optional<proto::Batch> Batches::seal(const InputRead& /*read*/) const {
  return proto::Batch::seal(of(proto::BatchKind::kInputRead, 0), EventObject().finish());
}

proto::Header Batches::of(proto::BatchKind kind, std::uint64_t source) const {
  proto::Header header = common_;
  header.kind = kind;
  header.source = source;
  return header;
}

proto::Batch Batches::end_of_input(bool stopped, std::uint64_t done) const {
  return proto::Batch::seal(of(proto::BatchKind::kEndOfInput, 0),
                            EventObject().boolean("stopped", stopped).number("done", done).finish());
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
  piece.payload = Buffer(length, proto::kHeaderBytes);
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
