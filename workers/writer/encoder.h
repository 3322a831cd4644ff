// Streaming encoders from record bytes to a descriptor: none, zstd, gzip. The only user of libzstd and
// zlib here.
//
// Output is a run of frames (zstd) or members (gzip): decoders of both read them one after the other as
// one text. After any failure the encoder is done for: what the file holds behind the last end_frame is
// not known.
//
// Memory of one open encoder, measured (memory()) with libzstd 1.5.4 and zlib 1.2.13, kept until it is gone:
//   none 128 KiB at most; gzip 0.4 MiB at any level
//   zstd level 1: 1.4 MiB, 3: 3.6 MiB, 9: 17 MiB, 19: 90 MiB, 22: 778 MiB
//   zstd level 3 with threads 1: 33 MiB, 2: 49 MiB
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "config/pipeline.h"
#include "proto/base/result.h"

namespace leat::writer {

class Encoder {
 public:
  virtual ~Encoder() = default;

  // Takes all of bytes; does not keep the view. They need not be in the file when it returns.
  [[nodiscard]] virtual Result<void> write(std::string_view bytes) = 0;

  // Everything written so far is in the file (not synced) and can be decoded; the next write begins a
  // new frame. Without a write since the last one: nothing is done.
  [[nodiscard]] virtual Result<void> end_frame() = 0;

  // end_frame, and if there never was a write: one empty frame, so that the file is valid. Nothing may
  // follow.
  [[nodiscard]] virtual Result<void> finish() = 0;

  // Bytes handed to the descriptor so far.
  virtual std::uint64_t bytes_out() const = 0;

  // Bytes of memory held.
  virtual std::size_t memory() const = 0;
};

// compression: not kAuto. level: zstd 1..22 (and below 0), gzip 1..9. threads: zstd only, 0 compresses
// in the caller's thread. fd is borrowed; path is for messages. Fails (kFatal, 78) on a level or threads
// that the library refuses.
[[nodiscard]] Result<std::unique_ptr<Encoder>> make_encoder(config::Compression compression, int level,
                                                            int threads, int fd, std::string path);

}  // namespace leat::writer
