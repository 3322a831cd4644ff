// What happens to sources, as the reader tells the writer: the records section of a batch of BatchKind 2 to 10 is one of
// these, as a JSON object (PROTOCOL.md).
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "proto/base/result.h"
#include "proto/batch.h"

namespace leat::proto {

struct SourceOpened {
  static constexpr BatchKind kKind = BatchKind::kSourceOpened;
  std::string path;
  std::uint64_t size = 0;  // of the file, in bytes on disk
  std::int64_t mtime_ns = 0;
  std::uint32_t head_bytes = 0;  // of the file's first bytes, uncompressed: how many head_hash is of
  std::uint64_t head_hash = 0;
  std::string compression;  // "none", "zstd", "gzip"

  template <class Archive, class Self>
  static void fields(Archive& archive, Self& self) {
    archive("path", self.path);
    archive("size", self.size);
    archive("mtime_ns", self.mtime_ns);
    archive("head_bytes", self.head_bytes);
    archive("head_hash", self.head_hash);
    archive("compression", self.compression);
  }
};

struct SourceEnded {
  static constexpr BatchKind kKind = BatchKind::kSourceEnded;
  std::string path;
  std::uint64_t size = 0;  // as it was when its end was read
  std::int64_t mtime_ns = 0;
  std::uint64_t lines = 0;
  std::uint64_t bytes = 0;  // uncompressed

  template <class Archive, class Self>
  static void fields(Archive& archive, Self& self) {
    archive("path", self.path);
    archive("size", self.size);
    archive("mtime_ns", self.mtime_ns);
    archive("lines", self.lines);
    archive("bytes", self.bytes);
  }
};

struct SourceFailed {
  static constexpr BatchKind kKind = BatchKind::kSourceFailed;
  std::string path;
  std::uint64_t offset = 0;  // behind the last line that was delivered, uncompressed
  std::string reason;
  bool retry = false;  // another run may continue it

  template <class Archive, class Self>
  static void fields(Archive& archive, Self& self) {
    archive("path", self.path);
    archive("offset", self.offset);
    archive("reason", self.reason);
    archive("retry", self.retry);
  }
};

// It is not what it was when it was read.
struct SourceChanged {
  static constexpr BatchKind kKind = BatchKind::kSourceChanged;
  std::string path;
  std::string reason;

  template <class Archive, class Self>
  static void fields(Archive& archive, Self& self) {
    archive("path", self.path);
    archive("reason", self.reason);
  }
};

struct SourceMoved {
  static constexpr BatchKind kKind = BatchKind::kSourceMoved;
  std::string path;  // where it is now
  std::string from;

  template <class Archive, class Self>
  static void fields(Archive& archive, Self& self) {
    archive("path", self.path);
    archive("from", self.from);
  }
};

// source.after was carried out, or reason says why it was not.
struct SourceFinished {
  static constexpr BatchKind kKind = BatchKind::kSourceFinished;
  std::string path;
  std::string action;  // "delete" or "move"
  std::string to;      // where it is now; empty: nowhere
  std::string reason;

  template <class Archive, class Self>
  static void fields(Archive& archive, Self& self) {
    archive("path", self.path);
    archive("action", self.action);
    archive("to", self.to);
    archive("reason", self.reason);
  }
};

// The last sequence number of an epoch.
struct EndOfInput {
  static constexpr BatchKind kKind = BatchKind::kEndOfInput;
  bool stopped = false;    // asked to stop before the end
  std::uint64_t done = 0;  // sources that match and were done before

  template <class Archive, class Self>
  static void fields(Archive& archive, Self& self) {
    archive("stopped", self.stopped);
    archive("done", self.done);
  }
};

// Which of the known sources are there: a part of what one daily listing found. Numbers of sources.
struct SourcesScanned {
  static constexpr BatchKind kKind = BatchKind::kPresence;
  std::vector<std::uint64_t> absent;
  std::vector<std::uint64_t> present;
  bool whole = false;     // here it ends
  bool believed = false;  // and nothing said that what is not there may be on a mount that is unavailable

  template <class Archive, class Self>
  static void fields(Archive& archive, Self& self) {
    archive("absent", self.absent);
    archive("present", self.present);
    archive("whole", self.whole);
    archive("believed", self.believed);
  }
};

// Everything was read, and source.after waits for outputs.
struct InputRead {
  static constexpr BatchKind kKind = BatchKind::kInputRead;

  template <class Archive, class Self>
  static void fields(Archive&, Self&) {}
};

using SourceEvent = std::variant<SourceOpened, SourceEnded, SourceFailed, SourceChanged, SourceMoved,
                                 SourceFinished, EndOfInput, SourcesScanned, InputRead>;

// A batch's records section for it, with room for the header before it.
[[nodiscard]] Buffer encode_payload(const SourceEvent& event);
// kFatal, 70: not what encode_payload() makes of an event of that kind.
[[nodiscard]] Result<SourceEvent> decode_source_event(BatchKind kind, std::string_view json);

}  // namespace leat::proto
