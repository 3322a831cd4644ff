// Opens a file as uncompressed bytes: plain, zstd or gzip, told apart by their first bytes unless the config
// says.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "config/pipeline.h"
#include "proto/base/fd.h"
#include "workers/reader/byte_source.h"
#include "workers/reader/file.h"
#include "workers/reader/zstd.h"

namespace leat::reader {

struct Opened {
  std::unique_ptr<ByteSource> source;
  config::Compression compression = config::Compression::kNone;  // never kAuto
  File file;                                                     // as it was when opened, with its head
  std::string head{};                                            // the bytes that file.head is of
  Fd fd{};                                                       // a second one, to check the file at its end
};

// Holds what decompressors need and what is dear to allocate: one for all files, one open source at a time.
// It must outlive the source.
class Decoders {
 public:
  explicit Decoders(std::uint64_t zstd_window_bytes) : zstd_(zstd_window_bytes) {}

  // Opens `path` to continue from `from`. The source begins at the frame of `from` (plain: at its tail):
  // source->offset() says where. An empty file is an empty source, whatever `compression` demands.
  // Fails with kRetry (the mount is unavailable) or kReject (no such file, no permission, a folder).
  [[nodiscard]] Result<Opened> open(const std::string& path, config::Compression compression,
                                    const Position& from);

 private:
  ZstdContext zstd_;
  std::vector<char> memory_;  // compressed input
};

}  // namespace leat::reader
