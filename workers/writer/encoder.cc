#include "workers/writer/encoder.h"

#include <fmt/format.h>
#include <zlib.h>
#include <zstd.h>

#include <algorithm>
#include <limits>
#include <new>

#include "proto/buffer.h"
#include "workers/writer/file.h"

namespace leat::writer {

namespace {

// Where encoded bytes leave from: the descriptor, its path and the count.
struct Drain {
  int fd;
  std::string path;
  std::uint64_t bytes = 0;

  Result<void> write(std::string_view encoded) {
    bytes += encoded.size();
    return write_all(fd, encoded, path);
  }
};

// Runs of records as they come: a large one goes from the message's memory into write(2), uncopied;
// small ones (a filter that drops nearly all) gather here first, as a system call each would cost more
// than the copy.
constexpr std::size_t kRawBufferBytes = 128 * 1024;
constexpr std::size_t kRawDirectBytes = 64 * 1024;

class RawEncoder final : public Encoder {
 public:
  explicit RawEncoder(Drain drain) : drain_(std::move(drain)) {}

  Result<void> write(std::string_view bytes) override {
    bool direct = bytes.size() >= kRawDirectBytes;
    if (direct || bytes.size() > kRawBufferBytes - buffer_.size()) {
      if (auto flushed = end_frame(); !flushed) return flushed;
    }
    if (direct) return drain_.write(bytes);
    buffer_.reserve(kRawBufferBytes);
    buffer_.append(bytes);
    return {};
  }

  Result<void> end_frame() override {
    if (buffer_.empty()) return {};
    auto written = drain_.write(buffer_.view());
    buffer_.clear();
    return written;
  }

  Result<void> finish() override { return end_frame(); }
  std::uint64_t bytes_out() const override { return drain_.bytes; }
  std::size_t memory() const override { return buffer_.capacity(); }

 private:
  Drain drain_;
  Buffer buffer_;
};

class ZstdEncoder final : public Encoder {
 public:
  explicit ZstdEncoder(Drain drain)
      : drain_(std::move(drain)), context_(ZSTD_createCCtx()), out_(ZSTD_CStreamOutSize()) {
    if (!context_) throw std::bad_alloc();
  }

  Result<void> configure(int level, int threads) {
    ZSTD_bounds levels = ZSTD_cParam_getBounds(ZSTD_c_compressionLevel);
    if (level < levels.lowerBound || level > levels.upperBound) {
      return fail(
          Fault::kFatal,
          fmt::format("sink.level: zstd takes {} to {}, not {}", levels.lowerBound, levels.upperBound, level),
          kExitConfig);
    }
    if (auto set = parameter("sink.level", ZSTD_c_compressionLevel, level); !set) return set;
    if (auto set = parameter("zstd's checksum", ZSTD_c_checksumFlag, 1); !set) return set;
    return parameter("sink.threads", ZSTD_c_nbWorkers, threads);
  }

  Result<void> write(std::string_view bytes) override {
    ZSTD_inBuffer in{bytes.data(), bytes.size(), 0};
    while (in.pos < in.size) {
      open_ = true;
      LEAT_TRY(compress(in, ZSTD_e_continue));
    }
    return {};
  }

  Result<void> end_frame() override { return open_ ? end() : Result<void>(); }
  Result<void> finish() override { return drain_.bytes == 0 ? end() : end_frame(); }
  std::uint64_t bytes_out() const override { return drain_.bytes; }
  std::size_t memory() const override { return ZSTD_sizeof_CCtx(context_.get()) + out_.capacity(); }

 private:
  struct Free {
    void operator()(ZSTD_CCtx* context) const { ZSTD_freeCCtx(context); }
  };

  Result<void> parameter(const char* key, ZSTD_cParameter name, int value) {
    std::size_t code = ZSTD_CCtx_setParameter(context_.get(), name, value);
    if (ZSTD_isError(code) == 0) return {};
    return fail(Fault::kFatal, fmt::format("{}: zstd refuses {}: {}", key, value, ZSTD_getErrorName(code)),
                kExitConfig);
  }

  // One call of the library. Hands the out buffer on when it is full, or the frame is complete. Returns
  // what the library still wants to flush.
  Result<std::size_t> compress(ZSTD_inBuffer& in, ZSTD_EndDirective directive) {
    ZSTD_outBuffer out{out_.data(), out_.capacity(), out_.size()};
    std::size_t left = ZSTD_compressStream2(context_.get(), &out, &in, directive);
    if (ZSTD_isError(left) != 0) {
      return fail(Fault::kFatal, fmt::format("{}: zstd: {}", drain_.path, ZSTD_getErrorName(left)));
    }
    out_.resize(out.pos);
    if (out.pos == out.size || (directive == ZSTD_e_end && left == 0)) {
      auto written = drain_.write(out_.view());
      out_.clear();
      if (!written) return tl::unexpected(written.error());
    }
    return left;
  }

  Result<void> end() {
    ZSTD_inBuffer none{nullptr, 0, 0};
    for (std::size_t left = 1; left != 0;) {
      left = LEAT_TRY(compress(none, ZSTD_e_end));
    }
    open_ = false;
    return {};
  }

  Drain drain_;
  std::unique_ptr<ZSTD_CCtx, Free> context_;
  Buffer out_;
  bool open_ = false;  // a frame is begun and not ended
};

class GzipEncoder final : public Encoder {
 public:
  explicit GzipEncoder(Drain drain) : drain_(std::move(drain)), out_(kOutBytes) {}
  ~GzipEncoder() override {
    if (ready_) deflateEnd(&stream_);
  }

  Result<void> configure(int level) {
    constexpr int kGzipWindow = 15 + 16;  // zlib.h: 16 on top asks for a gzip header and CRC
    if (level < 1 || level > 9) {
      return fail(Fault::kFatal, fmt::format("sink.level: gzip takes 1 to 9, not {}", level), kExitConfig);
    }
    if (deflateInit2(&stream_, level, Z_DEFLATED, kGzipWindow, 8, Z_DEFAULT_STRATEGY) != Z_OK) {
      throw std::bad_alloc();
    }
    ready_ = true;
    return {};
  }

  Result<void> write(std::string_view bytes) override {
    while (!bytes.empty()) {
      std::size_t count = std::min<std::size_t>(bytes.size(), std::numeric_limits<uInt>::max());
      open_ = true;
      if (auto done = deflate_all(bytes.substr(0, count), Z_NO_FLUSH); !done) return done;
      bytes.remove_prefix(count);
    }
    return {};
  }

  Result<void> end_frame() override { return open_ ? end() : Result<void>(); }
  Result<void> finish() override { return drain_.bytes == 0 ? end() : end_frame(); }
  std::uint64_t bytes_out() const override { return drain_.bytes; }
  // zconf.h: (1 << (windowBits + 2)) + (1 << (memLevel + 9)), and the buffer.
  std::size_t memory() const override { return (1U << 17) + (1U << 17) + kOutBytes; }

 private:
  static constexpr std::size_t kOutBytes = 128 * 1024;

  Result<void> deflate_all(std::string_view bytes, int flush) {
    // zlib only reads from next_in, but without ZLIB_CONST its type says otherwise.
    stream_.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(bytes.data()));
    stream_.avail_in = static_cast<uInt>(bytes.size());
    for (;;) {
      stream_.next_out = reinterpret_cast<Bytef*>(out_.data() + out_.size());
      stream_.avail_out = static_cast<uInt>(kOutBytes - out_.size());
      int code = deflate(&stream_, flush);
      LEAT_CHECK(code == Z_OK || code == Z_STREAM_END || code == Z_BUF_ERROR,
                 fmt::format("deflate: {}", code));
      out_.resize(kOutBytes - stream_.avail_out);
      bool full = stream_.avail_out == 0;
      if (full || code == Z_STREAM_END) {
        auto written = drain_.write(out_.view());
        out_.clear();
        if (!written) return written;
      }
      if (!full || code == Z_STREAM_END) return {};
    }
  }

  Result<void> end() {
    if (auto done = deflate_all({}, Z_FINISH); !done) return done;
    deflateReset(&stream_);
    open_ = false;
    return {};
  }

  Drain drain_;
  z_stream stream_{};
  Buffer out_;
  bool ready_ = false;
  bool open_ = false;  // a member is begun and not ended
};

}  // namespace

Result<std::unique_ptr<Encoder>> make_encoder(config::Compression compression, int level, int threads, int fd,
                                              std::string path) {
  Drain drain{fd, std::move(path)};
  if (compression == config::Compression::kZstd) {
    auto encoder = std::make_unique<ZstdEncoder>(std::move(drain));
    LEAT_TRY(encoder->configure(level, threads));
    return encoder;
  }
  if (compression == config::Compression::kGzip) {
    auto encoder = std::make_unique<GzipEncoder>(std::move(drain));
    LEAT_TRY(encoder->configure(level));
    return encoder;
  }
  LEAT_CHECK(compression == config::Compression::kNone, "the config resolves `auto`");
  return std::make_unique<RawEncoder>(std::move(drain));
}

}  // namespace leat::writer
