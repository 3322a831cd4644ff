// Decoding zstd so that no good byte is lost to a bad one behind it.
//
// ZSTD_decompressStream() takes any amount of input, but when it meets damage it reports an error and not how
// much of the output it had written in the same call. Given the whole input buffer, a flipped bit would so
// cost up to a quarter megabyte of good records in front of it. Each call returns how much input it would
// like next: the rest of the present block and the 3 bytes of header of the one behind. Feeding exactly the
// block, without that header, makes every call decode at most one block, and then only the damaged block
// itself is lost.
#include "workers/reader/zstd.h"

#include <fmt/format.h>
#include <zstd.h>

#include <algorithm>
#include <bit>
#include <new>
#include <optional>
#include <utility>

namespace leat::reader {
namespace {

// RFC 8878, sections 3.1.1 and 3.1.2.
constexpr std::uint32_t kMagic = 0xFD2FB528;
constexpr std::uint32_t kSkippableMagic = 0x184D2A50;  // and the 15 behind it
constexpr std::size_t kMaxHeader = 18;
constexpr std::size_t kMinHeader = 5;
constexpr std::size_t kBlockHeader = 3;

std::uint64_t little_endian(std::string_view bytes) {
  std::uint64_t value = 0;
  for (std::size_t i = bytes.size(); i-- > 0;) value = value << 8 | static_cast<unsigned char>(bytes[i]);
  return value;
}

bool is_skippable(std::string_view head) {
  return head.size() >= 4 && (little_endian(head.substr(0, 4)) & 0xFFFFFFF0) == kSkippableMagic;
}

// What a frame header asks for, 0 if it is cut short (the decoder will say so).
std::uint64_t window_needed(std::string_view header) {
  if (header.size() < kMinHeader) return 0;
  const auto descriptor = static_cast<unsigned char>(header[4]);
  const bool single_segment = (descriptor >> 5 & 1) != 0;
  if (!single_segment) {
    if (header.size() < 6) return 0;
    const auto window = static_cast<unsigned char>(header[5]);
    const std::uint64_t base = std::uint64_t{1} << (10 + (window >> 3));
    return base + base / 8 * (window & 7U);
  }
  constexpr std::size_t kDictionaryBytes[] = {0, 1, 2, 4};
  constexpr std::size_t kContentBytes[] = {1, 2, 4, 8};
  const std::size_t at = 5 + kDictionaryBytes[descriptor & 3];
  const std::size_t length = kContentBytes[descriptor >> 6];
  if (header.size() < at + length) return 0;
  return little_endian(header.substr(at, length)) + (length == 2 ? 256 : 0);
}

class Zstd : public ByteSource {
 public:
  Zstd(InputWindow input, ZstdContext& context, FrameMark start)
      : input_(std::move(input)), context_(context), offset_(start.raw_offset), mark_(start) {}

  Result<std::size_t> read(char* into, std::size_t capacity) override {
    ZSTD_outBuffer out{into, capacity, 0};
    while (out.pos < capacity && !ended_ && !failed_) {
      if (!in_frame_) {
        if (out.pos > 0) break;
        begin_frame();
      } else {
        decode(out);
      }
    }
    offset_ += out.pos;
    if (in_frame_ == false && out.pos > 0) mark_ = {input_.offset(), offset_};
    if (out.pos == 0 && failed_) return tl::unexpected(*failed_);
    return out.pos;
  }
  std::uint64_t offset() const override { return offset_; }
  FrameMark mark() const override { return mark_; }
  bool cut_short() const override { return cut_short_; }
  std::uint64_t consumed() const override { return input_.offset(); }

 private:
  void begin_frame() {
    if (Result<void> got = input_.want(kMaxHeader); !got) return refuse(std::move(got.error()));
    const std::string_view header = input_.bytes();
    ended_ = header.empty();
    if (ended_) return;
    cut_short_ = header.size() < sizeof kMagic;
    if (!is_zstd(header)) return refuse("expected a zstd frame or the end of the file, found other bytes");
    const std::uint64_t window = is_skippable(header) ? 0 : window_needed(header);
    if (window > context_.window_bytes()) {
      return refuse(
          fmt::format("the zstd frame needs a window of {} bytes, limits.zstd_window allows {}: set it to "
                      "{}KiB or more, or compress with a smaller window",
                      window, context_.window_bytes(), (window + 1023) / 1024));
    }
    mark_ = {input_.offset(), offset_};
    decoder_ = context_.fresh();
    wanted_ = kMinHeader;
    flushing_ = false;
    in_frame_ = true;
  }

  void decode(ZSTD_outBuffer& out) {
    if (!flushing_) {
      if (Result<void> got = input_.want(1); !got) return refuse(std::move(got.error()));
      if (input_.bytes().empty()) {
        cut_short_ = true;
        return refuse("the file ends in the middle of a zstd frame");
      }
    }
    const std::string_view bytes = input_.bytes();
    const std::size_t feed = wanted_ > kBlockHeader ? wanted_ - kBlockHeader : wanted_;
    ZSTD_inBuffer in{bytes.data(), std::min(bytes.size(), feed), 0};
    const std::size_t result = ZSTD_decompressStream(decoder_, &out, &in);
    if (ZSTD_isError(result) != 0)
      return refuse(fmt::format("damaged zstd data: {}", ZSTD_getErrorName(result)));
    input_.consume(in.pos);
    in_frame_ = result != 0;
    wanted_ = result;
    flushing_ = out.pos == out.size;
  }

  void refuse(std::string_view reason) {
    refuse(Error{Fault::kReject,
                 fmt::format("{}: {} (compressed offset {})", input_.path(), reason, input_.offset())});
  }
  void refuse(Error error) { failed_ = std::move(error); }

  InputWindow input_;
  ZstdContext& context_;
  ZSTD_DCtx* decoder_ = nullptr;
  std::uint64_t offset_;
  FrameMark mark_;
  std::size_t wanted_ = 0;
  bool in_frame_ = false;
  bool flushing_ = false;  // the decoder may still hold output
  bool ended_ = false;
  bool cut_short_ = false;
  std::optional<Error> failed_;
};

}  // namespace

bool is_zstd(std::string_view head) {
  return is_skippable(head) || (head.size() >= 4 && little_endian(head.substr(0, 4)) == kMagic);
}

ZstdContext::~ZstdContext() {
  ZSTD_freeDCtx(context_);
}

ZSTD_DCtx_s* ZstdContext::fresh() {
  if (context_ == nullptr) {
    context_ = ZSTD_createDCtx();
    if (context_ == nullptr) throw std::bad_alloc();
    const int log = static_cast<int>(std::bit_width(window_bytes_ > 0 ? window_bytes_ - 1 : 0));
    const ZSTD_bounds bounds = ZSTD_dParam_getBounds(ZSTD_d_windowLogMax);
    (void)ZSTD_DCtx_setParameter(context_, ZSTD_d_windowLogMax,
                                 std::clamp(log, bounds.lowerBound, bounds.upperBound));
  }
  (void)ZSTD_DCtx_reset(context_, ZSTD_reset_session_only);
  return context_;
}

std::unique_ptr<ByteSource> make_zstd(InputWindow input, ZstdContext& context, FrameMark start) {
  return std::make_unique<Zstd>(std::move(input), context, start);
}

}  // namespace leat::reader
