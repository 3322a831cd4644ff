#include "workers/reader/file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "proto/base/files.h"

namespace leat::reader {

File make_file(std::string path, const struct stat& found) {
  File file;
  file.path = std::move(path);
  file.size = static_cast<std::uint64_t>(found.st_size);
  file.mtime_ns = static_cast<std::int64_t>(found.st_mtim.tv_sec) * 1'000'000'000 + found.st_mtim.tv_nsec;
  file.inode = found.st_ino;
  return file;
}

Mark head_of(std::string_view first_bytes) {
  first_bytes = first_bytes.substr(0, kTailBytes);
  const std::size_t last = first_bytes.find_last_not_of('\0');
  return mark_of(first_bytes.substr(0, last == std::string_view::npos ? 0 : last + 1));
}

Result<NulRun> nul_run_at_end(const std::string& path) {
  Result<InputFile> file = InputFile::open(path);
  if (!file) return tl::unexpected(std::move(file.error()));
  NulRun run{file->file().size, 0};
  while (run.offset > 0) {
    const std::uint64_t step = std::min<std::uint64_t>(run.offset, kTailBytes);
    const std::string bytes = LEAT_TRY(file->bytes(run.offset - step, step));
    const std::size_t last = bytes.find_last_not_of('\0');
    const std::uint64_t nuls = last == std::string::npos ? step : bytes.size() - last - 1;
    run.offset -= nuls;
    run.bytes += nuls;
    if (nuls < step) break;
  }
  return run;
}

Fault fault_of(int error) {
  return is_transient(error) ? Fault::kRetry : Fault::kReject;
}

Error io_error(std::string_view what, const std::string& path, std::uint64_t offset, int error) {
  return {fault_of(error),
          fmt::format("cannot {} {} at offset {}: {}", what, path, offset, ::strerror(error))};
}

// O_NONBLOCK: what was a file when it was listed may be a pipe by now, and opening that would wait for a
// writer.
Result<InputFile> InputFile::open(const std::string& path) {
  Fd fd;
  do {
    fd = Fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK));
  } while (!fd && errno == EINTR);
  if (!fd) return tl::unexpected(io_error("open", path, 0, errno));
  struct stat found;
  if (::fstat(fd.get(), &found) != 0) return tl::unexpected(io_error("stat", path, 0, errno));
  if (S_ISDIR(found.st_mode)) return tl::unexpected(io_error("read", path, 0, EISDIR));
  if (!S_ISREG(found.st_mode))
    return fail(Fault::kReject, fmt::format("cannot read {}: not a regular file", path));
  (void)::posix_fadvise(fd.get(), 0, 0, POSIX_FADV_SEQUENTIAL);
  return InputFile(std::move(fd), make_file(path, found));
}

Result<std::size_t> InputFile::read(char* into, std::size_t capacity) {
  ssize_t got;
  do {
    got = ::read(fd_.get(), into, capacity);
  } while (got < 0 && errno == EINTR);
  if (got < 0) return tl::unexpected(io_error("read", file_.path, offset_, errno));
  if (got == 0 && offset_ < file_.size) {
    // sshfs answers a read with nothing when it has just lost its server: an end only if the file is shorter now.
    struct stat now {};
    if (::fstat(fd_.get(), &now) != 0) return tl::unexpected(io_error("stat", file_.path, offset_, errno));
    if (static_cast<std::uint64_t>(now.st_size) > offset_) {
      return fail(Fault::kRetry,
                  fmt::format("cannot read {} at offset {}: the mount gave nothing, and the file has {} "
                              "bytes",
                              file_.path, offset_, now.st_size));
    }
    return fail(Fault::kReject,
                fmt::format("{} was truncated while it was read: it ends at offset {} and had {} bytes "
                            "when it was opened",
                            file_.path, offset_, file_.size));
  }
  offset_ += static_cast<std::uint64_t>(got);
  return static_cast<std::size_t>(got);
}

Fd InputFile::duplicate() const {
  return Fd(::fcntl(fd_.get(), F_DUPFD_CLOEXEC, 0));
}

Result<std::string> InputFile::bytes(std::uint64_t offset, std::size_t count) const {
  std::string bytes(count, '\0');
  std::size_t have = 0;
  while (have < count) {
    const ssize_t got =
        ::pread(fd_.get(), bytes.data() + have, count - have, static_cast<off_t>(offset + have));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return tl::unexpected(io_error("read", file_.path, offset + have, errno));
    if (got == 0) break;
    have += static_cast<std::size_t>(got);
  }
  bytes.resize(have);
  return bytes;
}

Result<void> InputFile::seek(std::uint64_t offset) {
  if (::lseek(fd_.get(), static_cast<off_t>(offset), SEEK_SET) < 0) {
    return tl::unexpected(io_error("seek in", file_.path, offset, errno));
  }
  offset_ = offset;
  return {};
}

Result<void> InputWindow::want(std::size_t count) {
  while (end_ - begin_ < count) {
    if (memory_.size() - begin_ < count || begin_ == end_) {
      std::memmove(memory_.data(), memory_.data() + begin_, end_ - begin_);
      end_ -= begin_;
      begin_ = 0;
    }
    std::size_t got = LEAT_TRY(file_.read(memory_.data() + end_, memory_.size() - end_));
    if (got == 0) return {};
    end_ += got;
  }
  return {};
}

}  // namespace leat::reader
