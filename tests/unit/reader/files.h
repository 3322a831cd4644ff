// Files for tests: a folder that cleans up after itself, and compressed bytes.
#pragma once

#include <unistd.h>
#include <zlib.h>
#include <zstd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <stdexcept>
#include <string>

#include "workers/reader/byte_source.h"

namespace leat::reader::test {

class TempFolder {
 public:
  TempFolder() {
    std::string name = (std::filesystem::temp_directory_path() / "leat-reader-XXXXXX").string();
    if (::mkdtemp(name.data()) == nullptr) throw std::runtime_error("mkdtemp");
    path_ = name;
    std::filesystem::permissions(path_, std::filesystem::perms(0755));
  }
  ~TempFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  TempFolder(const TempFolder&) = delete;
  TempFolder& operator=(const TempFolder&) = delete;

  std::string operator/(const std::string& name) const { return path_ + "/" + name; }
  std::string write(const std::string& name, const std::string& bytes) const {
    std::string path = *this / name;
    std::filesystem::create_directories(std::filesystem::path(path).parent_path());
    std::ofstream(path, std::ios::binary) << bytes;
    return path;
  }
  std::string folder(const std::string& name) const {
    std::filesystem::create_directories(*this / name);
    return *this / name;
  }

 private:
  std::string path_;
};

// One zstd frame. streamed: the size of the content is not in the header.
inline std::string zstd(const std::string& bytes, bool streamed = false, int window_log = 0,
                        bool checksum = false) {
  ZSTD_CCtx* context = ZSTD_createCCtx();
  if (window_log > 0) ZSTD_CCtx_setParameter(context, ZSTD_c_windowLog, window_log);
  ZSTD_CCtx_setParameter(context, ZSTD_c_checksumFlag, checksum ? 1 : 0);
  ZSTD_CCtx_setParameter(context, ZSTD_c_contentSizeFlag, streamed ? 0 : 1);
  std::string out(ZSTD_compressBound(bytes.size()) + 64, '\0');
  ZSTD_inBuffer in{bytes.data(), bytes.size(), 0};
  ZSTD_outBuffer frame{out.data(), out.size(), 0};
  if (streamed) ZSTD_compressStream2(context, &frame, &in, ZSTD_e_continue);
  if (ZSTD_compressStream2(context, &frame, &in, ZSTD_e_end) != 0) throw std::runtime_error("zstd");
  out.resize(frame.pos);
  ZSTD_freeCCtx(context);
  return out;
}

inline std::string skippable(const std::string& bytes) {
  std::string out = std::string("\x53\x2A\x4D\x18", 4);
  for (int shift = 0; shift < 32; shift += 8) out += static_cast<char>(bytes.size() >> shift & 0xFF);
  return out + bytes;
}

// One gzip member.
inline std::string gzip(const std::string& bytes) {
  z_stream stream{};
  if (deflateInit2(&stream, 6, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY) != Z_OK)
    throw std::runtime_error("zlib");
  std::string out(deflateBound(&stream, static_cast<uLong>(bytes.size())), '\0');
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(bytes.data()));
  stream.avail_in = static_cast<uInt>(bytes.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<uInt>(out.size());
  deflate(&stream, Z_FINISH);
  out.resize(stream.total_out);
  deflateEnd(&stream);
  return out;
}

// Text that does not compress to nothing.
inline std::string noise(std::size_t size) {
  std::string out;
  std::uint64_t state = 88172645463325252ULL;
  while (out.size() < size) {
    state ^= state << 13, state ^= state >> 7, state ^= state << 17;
    out += static_cast<char>(state % 61 == 0 ? '\n' : 'a' + state % 26);
  }
  return out;
}

struct Decoded {
  std::string bytes;
  std::string error;  // "" at a clean end
  Fault fault = Fault::kFatal;
};

inline Decoded drain(ByteSource& source, std::size_t capacity = 65536) {
  Decoded out;
  std::string buffer(capacity, '\0');
  for (;;) {
    Result<std::size_t> got = source.read(buffer.data(), buffer.size());
    if (!got) {
      out.error = got.error().text;
      out.fault = got.error().fault;
      return out;
    }
    if (*got == 0) return out;
    out.bytes.append(buffer, 0, *got);
  }
}

// Root may read everything; without its rights for the while.
class Unprivileged {
 public:
  Unprivileged() : was_root_(::geteuid() == 0) {
    if (was_root_ && ::seteuid(65534) != 0) throw std::runtime_error("seteuid");
  }
  ~Unprivileged() {
    if (was_root_) (void)!::seteuid(0);
  }

 private:
  bool was_root_;
};

}  // namespace leat::reader::test
