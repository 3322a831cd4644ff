#include "daemon/replay/letters.h"

#include <fcntl.h>
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <utility>

#include "proto/base/text.h"

namespace leat::replay {

namespace {

constexpr std::size_t kReadBytes = 64 * 1024;

}  // namespace

Result<Lines> Lines::open(const std::string& path, std::uint64_t until) {
  Fd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOCTTY));
  if (fd) return Lines(std::move(fd), path, until);
  return fail(Fault::kFatal, fmt::format("{} cannot be read: {}", printable(path), std::strerror(errno)),
              errno == ENOENT ? kExitNoInput : kExitIo);
}

Result<std::optional<std::string_view>> Lines::next() {
  for (;;) {
    std::size_t newline = buffer_.find('\n', searched_);
    if (newline != std::string::npos) {
      std::string_view line = std::string_view(buffer_).substr(begin_, newline - begin_);
      begin_ = searched_ = newline + 1;
      bytes_given_ += line.size() + 1;
      ++number_;
      return line;
    }
    buffer_.erase(0, std::exchange(begin_, 0));
    searched_ = buffer_.size();
    std::array<char, kReadBytes> chunk;
    ssize_t count = ::read(fd_.get(), chunk.data(), std::min<std::uint64_t>(chunk.size(), left_));
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) {
      return fail(Fault::kFatal,
                  fmt::format("{} cannot be read: {}", printable(path_), std::strerror(errno)));
    }
    if (count == 0) return std::nullopt;
    buffer_.append(chunk.data(), static_cast<std::size_t>(count));
    left_ -= static_cast<std::uint64_t>(count);
  }
}

}  // namespace leat::replay
