#include "daemon/cli/durable.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>

#include "daemon/cli/human.h"

namespace leat::cli {

namespace {

constexpr std::size_t kBufferBytes = 256 * 1024;

}  // namespace

tl::unexpected<Error> cannot(std::string_view action, const std::string& path, int error) {
  return fail(Fault::kFatal, fmt::format("cannot {} {}: {}", action, printable(path), std::strerror(error)));
}

std::string folder_of(const std::string& path) {
  return std::filesystem::path(path).parent_path().string();
}

Result<void> sync_folder(const std::string& folder) {
  stage::Fd fd(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (fd && (::fsync(fd.get()) == 0 || errno == EINVAL)) return {};
  return cannot("sync", folder, errno);
}

Result<void> rename_durably(const std::string& from, const std::string& to) {
  if (::rename(from.c_str(), to.c_str()) != 0) return cannot("rename", from, errno);
  return sync_folder(folder_of(to));
}

Result<void> Out::open() {
  fd_ = stage::Fd(::open(path_.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
  return fd_ ? Result<void>() : cannot("write", path_, errno);
}

Result<void> Out::add(std::string_view text) {
  buffer_ += text;
  return buffer_.size() < kBufferBytes ? Result<void>() : flush();
}

Result<void> Out::close() {
  if (auto flushed = flush(); !flushed) return flushed;
  if (::fsync(fd()) != 0 && errno != EINVAL) return cannot("sync", path_, errno);
  fd_.reset();
  return {};
}

Result<void> Out::flush() {
  for (std::string_view rest = buffer_; !rest.empty();) {
    ssize_t count = ::write(fd(), rest.data(), rest.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return cannot("write", path_, errno);
    rest.remove_prefix(static_cast<std::size_t>(count));
  }
  buffer_.clear();
  return {};
}

Result<void> write_file(const std::string& path, const std::string& text) {
  Out out(path);
  if (auto opened = out.open(); !opened) return opened;
  if (auto added = out.add(text); !added) return added;
  return out.close();
}

}  // namespace leat::cli
