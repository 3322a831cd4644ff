#include "tests/unit/writer/folder.h"

#include <stdlib.h>
#include <zlib.h>
#include <zstd.h>

#include <algorithm>
#include <fstream>
#include <iterator>
#include <stdexcept>

namespace leat::test {

Folder::Folder() {
  std::string pattern = (std::filesystem::temp_directory_path() / "leat-writer-XXXXXX").string();
  if (::mkdtemp(pattern.data()) == nullptr) throw std::runtime_error("mkdtemp");
  root_ = pattern;
}

Folder::~Folder() {
  std::filesystem::remove_all(root_);
}

std::vector<std::string> Folder::names() const {
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(root_)) {
    if (!entry.is_directory()) names.push_back(entry.path().lexically_relative(root_).string());
  }
  std::sort(names.begin(), names.end());
  return names;
}

std::string read_file(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  if (!in) throw std::runtime_error("cannot read " + path);
  return {std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
}

void write_file(const std::string& path, std::string_view bytes) {
  std::ofstream(path, std::ios::binary) << bytes;
}

bool exists(const std::string& path) {
  return std::filesystem::exists(std::filesystem::symlink_status(path));
}

std::string unzstd(std::string_view frames) {
  std::string out;
  ZSTD_DCtx* context = ZSTD_createDCtx();
  std::string block(ZSTD_DStreamOutSize(), '\0');
  ZSTD_inBuffer in{frames.data(), frames.size(), 0};
  std::size_t left = frames.empty() ? 1 : 0;
  bool full = false;
  while (in.pos < in.size || full) {
    ZSTD_outBuffer to{block.data(), block.size(), 0};
    left = ZSTD_decompressStream(context, &to, &in);
    if (ZSTD_isError(left) != 0) break;
    out.append(block.data(), to.pos);
    full = to.pos == to.size && left != 0;
  }
  ZSTD_freeDCtx(context);
  if (left != 0) throw std::runtime_error("damaged or cut zstd");
  return out;
}

std::string ungzip(std::string_view members) {
  std::string out;
  std::string block(65536, '\0');
  z_stream stream{};
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(members.data()));
  stream.avail_in = static_cast<uInt>(members.size());
  int code = Z_DATA_ERROR;
  while (stream.avail_in > 0) {
    inflateInit2(&stream, 15 + 16);
    do {
      stream.next_out = reinterpret_cast<Bytef*>(block.data());
      stream.avail_out = static_cast<uInt>(block.size());
      code = inflate(&stream, Z_NO_FLUSH);
      out.append(block.data(), block.size() - stream.avail_out);
    } while (code == Z_OK);
    inflateEnd(&stream);
    if (code != Z_STREAM_END) break;
  }
  if (code != Z_STREAM_END) throw std::runtime_error("damaged or cut gzip");
  return out;
}

}  // namespace leat::test
