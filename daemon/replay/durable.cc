#include "daemon/replay/durable.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>

#include "proto/base/files.h"
#include "proto/base/human.h"

namespace leat::replay {

namespace {

constexpr std::size_t kBufferBytes = 256 * 1024;

}  // namespace

Result<void> Out::open() {
  fd_ = Fd(::open(path_.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
  return fd_ ? Result<void>() : io_failure("write", path_, errno);
}

Result<void> Out::add(std::string_view text) {
  buffer_ += text;
  return buffer_.size() < kBufferBytes ? Result<void>() : flush();
}

Result<void> Out::close() {
  if (auto flushed = flush(); !flushed) return flushed;
  if (::fsync(fd()) != 0 && errno != EINVAL) return io_failure("sync", path_, errno);
  fd_.reset();
  return {};
}

Result<void> Out::flush() {
  if (const int error = write_all(fd(), buffer_); error != 0) return io_failure("write", path_, error);
  buffer_.clear();
  return {};
}

Result<void> write_file(const std::string& path, const std::string& text) {
  Out out(path);
  if (auto opened = out.open(); !opened) return opened;
  if (auto added = out.add(text); !added) return added;
  return out.close();
}

}  // namespace leat::replay
