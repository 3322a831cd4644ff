#include "workers/reader/gzip.h"

#include <fmt/format.h>
#include <zlib.h>

#include <algorithm>
#include <limits>
#include <new>
#include <optional>
#include <utility>

namespace leat::reader {
namespace {

constexpr int kGzipOnly = 15 + 16;  // window bits; +16: a gzip header, nothing else

class Gzip : public ByteSource {
 public:
  Gzip(InputWindow input, FrameMark start)
      : input_(std::move(input)), offset_(start.raw_offset), mark_(start), first_(start.offset == 0) {
    if (::inflateInit2(&stream_, kGzipOnly) != Z_OK) throw std::bad_alloc();
  }
  ~Gzip() override { ::inflateEnd(&stream_); }
  Gzip(const Gzip&) = delete;
  Gzip& operator=(const Gzip&) = delete;

  Result<std::size_t> read(char* into, std::size_t capacity) override {
    std::size_t got = 0;
    while (got < capacity && !ended_ && !failed_) {
      if (in_member_) {
        got += inflate(into + got, capacity - got);
      } else if (got == 0) {
        begin_member();
      } else {
        break;
      }
    }
    offset_ += got;
    if (!in_member_ && got > 0) mark_ = {input_.offset(), offset_};
    if (got == 0 && failed_) return tl::unexpected(*failed_);
    return got;
  }
  std::uint64_t offset() const override { return offset_; }
  FrameMark mark() const override { return mark_; }
  bool cut_short() const override { return cut_short_; }
  std::uint64_t consumed() const override { return input_.offset(); }

 private:
  void begin_member() {
    if (Result<void> got = input_.want(2); !got) return refuse(std::move(got.error()));
    if (!input_.bytes().empty() && input_.bytes()[0] == '\0' && !first_) return skip_padding();
    ended_ = input_.bytes().empty();
    if (ended_) return;
    cut_short_ = input_.bytes().size() < 2;
    if (!is_gzip(input_.bytes()))
      return refuse("expected a gzip member or the end of the file, found other bytes");
    mark_ = {input_.offset(), offset_};
    ::inflateReset(&stream_);
    in_member_ = true;
    first_ = false;
  }

  void skip_padding() {
    for (;;) {
      const std::string_view bytes = input_.bytes();
      const std::size_t zeros = std::min(bytes.find_first_not_of('\0'), bytes.size());
      input_.consume(zeros);
      if (zeros < bytes.size())
        return refuse("expected only zeros behind the last gzip member, found other bytes");
      if (Result<void> got = input_.want(1); !got) return refuse(std::move(got.error()));
      ended_ = input_.bytes().empty();
      if (ended_) return;
    }
  }

  std::size_t inflate(char* into, std::size_t capacity) {
    if (Result<void> got = input_.want(1); !got) {
      refuse(std::move(got.error()));
      return 0;
    }
    const std::string_view bytes = input_.bytes();
    const auto room = static_cast<uInt>(std::min<std::size_t>(capacity, std::numeric_limits<int>::max()));
    stream_.next_in = const_cast<Bytef*>(reinterpret_cast<const Bytef*>(bytes.data()));
    stream_.avail_in = static_cast<uInt>(bytes.size());
    stream_.next_out = reinterpret_cast<Bytef*>(into);
    stream_.avail_out = room;
    const int result = ::inflate(&stream_, Z_NO_FLUSH);
    input_.consume(bytes.size() - stream_.avail_in);
    const std::size_t got = room - stream_.avail_out;
    if (result == Z_STREAM_END) {
      in_member_ = false;
    } else if (result == Z_MEM_ERROR) {
      throw std::bad_alloc();
    } else if (result != Z_OK && result != Z_BUF_ERROR) {
      refuse(fmt::format("damaged gzip data: {}", stream_.msg != nullptr ? stream_.msg : ::zError(result)));
    } else if (bytes.empty() && got == 0) {
      cut_short_ = true;
      refuse("the file ends in the middle of a gzip member");
    }
    return got;
  }

  void refuse(std::string_view reason) {
    refuse(Error{Fault::kReject,
                 fmt::format("{}: {} (compressed offset {})", input_.path(), reason, input_.offset())});
  }
  void refuse(Error error) { failed_ = std::move(error); }

  InputWindow input_;
  z_stream stream_{};
  std::uint64_t offset_;
  FrameMark mark_;
  bool first_;  // nothing was read yet, and the file begins here
  bool in_member_ = false;
  bool ended_ = false;
  bool cut_short_ = false;
  std::optional<Error> failed_;
};

}  // namespace

bool is_gzip(std::string_view head) {
  return head.starts_with("\x1f\x8b");
}

std::unique_ptr<ByteSource> make_gzip(InputWindow input, FrameMark start) {
  return std::make_unique<Gzip>(std::move(input), start);
}

}  // namespace leat::reader
