#include "workers/reader/decoder.h"

#include <string_view>
#include <utility>

#include "workers/reader/gzip.h"

namespace leat::reader {
namespace {

using config::Compression;

constexpr std::size_t kInputBytes = 256 * 1024;

class Plain : public ByteSource {
 public:
  explicit Plain(InputFile file) : file_(std::move(file)) {}

  Result<std::size_t> read(char* into, std::size_t capacity) override { return file_.read(into, capacity); }
  std::uint64_t offset() const override { return file_.offset(); }
  std::uint64_t consumed() const override { return file_.offset(); }

 private:
  InputFile file_;
};

Compression by_magic(std::string_view head) {
  if (is_zstd(head)) return Compression::kZstd;
  if (is_gzip(head)) return Compression::kGzip;
  return Compression::kNone;
}

}  // namespace

Result<Opened> Decoders::open(const std::string& path, Compression compression, const Position& from) {
  Result<InputFile> file = InputFile::open(path);
  if (!file) return tl::unexpected(std::move(file.error()));
  Opened opened;
  if (Result<std::string> head = file->head()) {
    opened.head = *std::move(head);
  } else {
    return tl::unexpected(std::move(head.error()));
  }
  if (compression == Compression::kAuto) compression = by_magic(opened.head);
  const bool plain = compression == Compression::kNone;
  if (const std::uint64_t offset = plain ? from.offset - from.tail.bytes : from.frame.offset; offset > 0) {
    LEAT_TRY(file->seek(offset));
  }
  opened.compression = compression;
  opened.file = file->file();
  opened.file.head = head_of(opened.head);
  opened.fd = file->duplicate();
  if (plain) {
    opened.source = std::make_unique<Plain>(std::move(*file));
    return opened;
  }
  memory_.resize(kInputBytes);
  InputWindow input(std::move(*file), memory_);
  opened.source = compression == Compression::kZstd ? make_zstd(std::move(input), zstd_, from.frame)
                                                    : make_gzip(std::move(input), from.frame);
  return opened;
}

}  // namespace leat::reader
