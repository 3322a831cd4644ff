// A source file as the file system shows it, and the descriptor it is read through.
#pragma once

#include <sys/stat.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "proto/base/fd.h"
#include "proto/base/result.h"
#include "workers/reader/tail.h"

namespace leat::reader {

struct File {
  std::string path;
  std::uint64_t size = 0;     // bytes on disk, compressed if it is
  std::int64_t mtime_ns = 0;  // since 1970
  std::uint64_t inode = 0;    // a hint only: network file systems change it
  Mark head{};                // filled in when it is opened: see head_of()
  // Nobody wrote to it between the two looks (as far as size and time tell).
  bool same_content(const File& other) const { return size == other.size && mtime_ns == other.mtime_ns; }
};

File make_file(std::string path, const struct stat& found);

// Of the first kTailBytes bytes on disk, without NUL bytes at their end: they may be what is not written yet.
Mark head_of(std::string_view first_bytes);

// The NUL bytes that the file ends in: what a file system shows of room that is reserved and not written yet.
struct NulRun {
  std::uint64_t offset = 0;  // on disk, of the first
  std::uint64_t bytes = 0;   // 0: there is none
};
[[nodiscard]] Result<NulRun> nul_run_at_end(const std::string& path);

// kRetry for what a network mount does while it is unavailable (ESTALE EIO ENOTCONN ETIMEDOUT EHOSTDOWN and the
// like) and for a shortage of descriptors or memory; kReject for everything else: this file is bad, continue
// with the next.
Fault fault_of(int error);

// "cannot WHAT PATH at offset N: strerror". The fault is fault_of(error).
Error io_error(std::string_view what, const std::string& path, std::uint64_t offset, int error);

// An open regular file, read front to back.
class InputFile {
 public:
  [[nodiscard]] static Result<InputFile> open(const std::string& path);

  // The next bytes; 0 is the end. A file that ends before the size it had when it was opened is an error
  // (kReject): somebody truncated it.
  [[nodiscard]] Result<std::size_t> read(char* into, std::size_t capacity);
  // Bytes of the file, wherever the reading is: fewer than `count` only where it ends.
  [[nodiscard]] Result<std::string> bytes(std::uint64_t offset, std::size_t count) const;
  // The first kTailBytes, or as many as there are.
  [[nodiscard]] Result<std::string> head() const {
    return bytes(0, static_cast<std::size_t>(std::min<std::uint64_t>(file_.size, kTailBytes)));
  }
  [[nodiscard]] Result<void> seek(std::uint64_t offset);

  const File& file() const { return file_; }  // as it was when opened, without head
  Fd duplicate() const;                       // to check it later; none if there are no more descriptors
  std::uint64_t offset() const { return offset_; }  // of the next byte

 private:
  InputFile(Fd fd, File file) : fd_(std::move(fd)), file_(std::move(file)) {}

  Fd fd_;
  File file_;
  std::uint64_t offset_ = 0;
};

// The bytes of a file between the disk and a decompressor, in memory that outlives it.
class InputWindow {
 public:
  InputWindow(InputFile file, std::vector<char>& memory) : file_(std::move(file)), memory_(memory) {}

  std::string_view bytes() const { return {memory_.data() + begin_, end_ - begin_}; }
  void consume(std::size_t count) { begin_ += count; }
  // Reads until bytes() holds at least `count` (no more than the memory) or the file ends.
  [[nodiscard]] Result<void> want(std::size_t count);
  std::uint64_t offset() const { return file_.offset() - (end_ - begin_); }  // in the file, of bytes()[0]
  const std::string& path() const { return file_.file().path; }

 private:
  InputFile file_;
  std::vector<char>& memory_;
  std::size_t begin_ = 0;
  std::size_t end_ = 0;
};

}  // namespace leat::reader
