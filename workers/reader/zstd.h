// The only file that names libzstd on the reading side.
#pragma once

#include <cstdint>
#include <memory>
#include <string_view>

#include "workers/reader/byte_source.h"
#include "workers/reader/file.h"

struct ZSTD_DCtx_s;

namespace leat::reader {

// Do these first bytes (4 are enough) begin a zstd file? A skippable frame may come first.
bool is_zstd(std::string_view head);

// A decompressor and its window, up to `window_bytes`, to be used again and again: memory is allocated with
// the first frame and kept.
class ZstdContext {
 public:
  explicit ZstdContext(std::uint64_t window_bytes) : window_bytes_(window_bytes) {}
  ~ZstdContext();
  ZstdContext(const ZstdContext&) = delete;
  ZstdContext& operator=(const ZstdContext&) = delete;

  std::uint64_t window_bytes() const { return window_bytes_; }
  ZSTD_DCtx_s* fresh();  // ready for a new frame; throws std::bad_alloc

 private:
  std::uint64_t window_bytes_;
  ZSTD_DCtx_s* context_ = nullptr;
};

// Decodes the frames of `input`, the first of which starts at `start`. Skippable and empty frames are passed
// over. Refuses (kReject, with the offset in the file): a frame that needs a larger window, bytes between
// frames, a truncated end, damage. What decodes before a fault is delivered first.
std::unique_ptr<ByteSource> make_zstd(InputWindow input, ZstdContext& context, FrameMark start);

}  // namespace leat::reader
