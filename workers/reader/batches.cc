#include "workers/reader/batches.h"

#include <fmt/format.h>
#include <rapidjson/stringbuffer.h>
#include <rapidjson/writer.h>

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
  EventObject& number(const char* key, std::uint64_t value) {
    json_.Key(key);
    json_.Uint64(value);
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

void set_position(proto::Header& header, const Position& at) {
  header.end_line = at.line - 1;
  header.end_offset = at.offset;
  header.frame_offset = at.frame.offset;
  header.frame_raw_offset = at.frame.raw_offset;
}

}  // namespace

void Batches::take(Event event) {
  proto::Header header = common_;
  EventObject object;
  if (auto* chunk = std::get_if<SourceChunk>(&event)) {
    source_ = chunk->id;
    chunk_ = std::move(chunk->chunk);
    cut_ = 0;
    return;
  }
  if (auto* opened = std::get_if<SourceOpened>(&event)) {
    header.kind = proto::BatchKind::kSourceOpened;
    header.source = opened->id;
    set_position(header, opened->start);
    object.text("path", opened->file.path)
        .number("size", opened->file.size)
        .number("mtime_ns", static_cast<std::uint64_t>(opened->file.mtime_ns))
        .text("compression", name_of(opened->compression));
  } else if (auto* ended = std::get_if<SourceEnded>(&event)) {
    header.kind = proto::BatchKind::kSourceEnded;
    header.source = ended->id;
    set_position(header, ended->end);
    object.number("lines", ended->end.line - 1).number("bytes", ended->end.offset);
  } else if (auto* failed = std::get_if<SourceFailed>(&event)) {
    header.kind = proto::BatchKind::kSourceFailed;
    header.source = failed->id;
    set_position(header, failed->at);
    object.text("path", failed->path).number("offset", failed->at.offset).text("reason", failed->reason);
  } else if (auto* changed = std::get_if<SourceChanged>(&event)) {
    header.kind = proto::BatchKind::kSourceChanged;
    header.source = changed->id;
    object.text("path", changed->path).text("reason", changed->reason);
  } else {
    return;
  }
  event_ = proto::Batch::seal(header, object.finish());
}

proto::Batch Batches::end_of_input(bool stopped) const {
  proto::Header header = common_;
  header.kind = proto::BatchKind::kEndOfInput;
  return proto::Batch::seal(header, EventObject().boolean("stopped", stopped).finish());
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
  if (chunk.unterminated) header.flags |= proto::Header::kUnterminated;
  set_position(header, chunk.after());
  return proto::Batch::seal(header, std::move(chunk.payload));
}

// The next lines of chunk_ as a chunk of their own. What is known of frames is known at the end of the chunk
// only: in the middle of it the position names no frame later than the start of the source.
Chunk Batches::cut(std::size_t target_bytes) {
  const char* begin = chunk_->payload.data() + cut_;
  std::size_t left = chunk_->payload.size() - cut_;
  std::size_t length = left;
  if (target_bytes < left) {
    const void* last = ::memrchr(begin, '\n', target_bytes);
    if (last == nullptr) last = std::memchr(begin, '\n', left);
    length = static_cast<std::size_t>(static_cast<const char*>(last) - begin) + 1;
  }
  Chunk piece;
  piece.payload = Buffer(length, proto::kHeaderBytes);
  piece.payload.append(begin, length);
  piece.first_line = chunk_->first_line;
  piece.first_offset = chunk_->first_offset;
  piece.line_count = count_newlines(begin, length);
  bool last_piece = length == left;
  piece.end_offset = last_piece ? chunk_->end_offset : piece.first_offset + length;
  piece.unterminated = last_piece && chunk_->unterminated;
  if (last_piece) piece.frame = chunk_->frame;
  chunk_->first_line += piece.line_count;
  chunk_->first_offset = piece.end_offset;
  cut_ += length;
  return piece;
}

std::optional<proto::Batch> Batches::next(std::size_t target_bytes) {
  if (event_) return std::exchange(event_, std::nullopt);
  if (!chunk_) return std::nullopt;
  if (!chunk_->oversize.empty()) {
    proto::Batch batch = oversize(*chunk_);
    chunk_.reset();
    return batch;
  }
  // A little too long is not worth a copy.
  if (cut_ == 0 && (chunk_->payload.size() / 2 <= target_bytes || chunk_->line_count == 1)) {
    return records(*std::exchange(chunk_, std::nullopt));
  }
  proto::Batch batch = records(cut(target_bytes));
  if (cut_ == chunk_->payload.size()) chunk_.reset();
  return batch;
}

}  // namespace leat::reader
