// Publishing without surprises.
//
// Three others can be at odds with us over one target: a second leat with the same sink, a leat that was
// killed and left its temporary, and a stranger who creates the target while leat is writing. A lock
// file beside the target would need cleaning up itself, so the temporary is the lock: flock(2) dies with
// its holder, whatever kills it. Created with O_EXCL it is never somebody else's file or a planted link.
// Between creating and locking, another leat may take it for a stale one and remove it; so after
// locking, the name is compared with the descriptor, and a loser begins again. Against the stranger
// helps RENAME_NOREPLACE: the kernel's answer, not a look before the leap.
#include "workers/writer/output.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>

#include "workers/writer/file.h"

namespace leat::writer {

namespace {

constexpr int kOpenTries = 16;   // each lost only to another leat that starts at the same moment
constexpr int kFifoTries = 500;  // 10 s
constexpr timespec kFifoPause{0, 20'000'000};
constexpr char kStdout[] = "/dev/stdout";

bool same_file(int fd, const std::string& path) {
  struct stat opened {};
  struct stat named {};
  return ::fstat(fd, &opened) == 0 && ::lstat(path.c_str(), &named) == 0 && opened.st_dev == named.st_dev &&
         opened.st_ino == named.st_ino;
}

tl::unexpected<Error> in_use(const std::string& target, const std::string& temporary) {
  return fail(
      Fault::kFatal,
      fmt::format("another leat is writing {} (it has locked {}); wait for it, or choose another sink.path",
                  target, temporary),
      kExitConfig);
}

tl::unexpected<Error> exists(const std::string& target) {
  return fail(Fault::kFatal, fmt::format("{} exists already; --force replaces it", target), kExitConfig);
}

// Opens a FIFO for writing once it has a reader: a plain open would hang without a way out.
Result<stage::Fd> open_fifo(const std::string& path) {
  for (int i = 0; i < kFifoTries; ++i) {
    stage::Fd fd(::open(path.c_str(), O_WRONLY | O_NONBLOCK | O_CLOEXEC));
    if (fd) {
      ::fcntl(fd.get(), F_SETFL, O_WRONLY);
      return fd;
    }
    if (errno != ENXIO) return io_failure("open", path, errno);
    ::nanosleep(&kFifoPause, nullptr);
  }
  return fail(Fault::kRetry, fmt::format("nobody reads the FIFO {}: start its reader and run again", path));
}

Result<stage::Fd> open_device(const std::string& path) {
  // /dev/stdout is not opened anew: it may be a socket, or a file that others append to as well.
  stage::Fd fd(path == kStdout ? ::fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 0)
                               : ::open(path.c_str(), O_WRONLY | O_CLOEXEC | O_NOCTTY));
  if (!fd) return io_failure("open", path, errno);
  return fd;
}

}  // namespace

std::string temporary_of(std::string_view target) {
  std::string folder = folder_of(target);
  return fmt::format("{}{}.{}.leat-tmp", folder, folder == "/" ? "" : "/", name_of(target));
}

Result<std::unique_ptr<Output>> Output::open(std::string target, const OutputOptions& options) {
  std::unique_ptr<Output> output(new Output(std::move(target), options.force));
  bool special = false;
  auto opened = output->open_special(special);
  if (opened && !special) opened = output->open_temporary();
  if (!opened) return tl::unexpected(opened.error());
  auto encoder =
      make_encoder(options.compression, options.level, options.threads, output->fd_.get(), output->target_);
  if (!encoder) return tl::unexpected(encoder.error());
  output->encoder_ = std::move(*encoder);
  return output;
}

// Opens the target if it is one to write in place; refuses what can be neither that nor a new file.
Result<void> Output::open_special(bool& special) {
  struct stat info {};
  bool found = ::stat(target_.c_str(), &info) == 0;
  special = target_ == kStdout || (found && !S_ISREG(info.st_mode));
  if (!special) {
    // lstat: a link that leads nowhere is in the way too.
    if (!force_ && ::lstat(target_.c_str(), &info) == 0) return exists(target_);
    return {};
  }
  if (target_ != kStdout && !S_ISFIFO(info.st_mode) && !S_ISCHR(info.st_mode)) {
    const char* what = S_ISDIR(info.st_mode) ? "folder" : S_ISSOCK(info.st_mode) ? "socket" : "block device";
    return fail(Fault::kFatal, fmt::format("{} is a {}, not a file: choose another sink.path", target_, what),
                kExitConfig);
  }
  auto fd = target_ != kStdout && S_ISFIFO(info.st_mode) ? open_fifo(target_) : open_device(target_);
  if (!fd) return tl::unexpected(fd.error());
  fd_ = std::move(*fd);
  return {};
}

Result<void> Output::open_temporary() {
  if (auto folder = check_folder(folder_of(target_)); !folder) return folder;
  std::string temporary = temporary_of(target_);
  for (int i = 0; i < kOpenTries; ++i) {
    stage::Fd fd(::open(temporary.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666));
    if (!fd) {
      if (errno != EEXIST) return io_failure("create", temporary, errno);
      if (auto removed = remove_stale(); !removed) return removed;
      continue;
    }
    auto locked = lock(fd.get(), temporary, true);
    if (!locked) return tl::unexpected(locked.error());
    if (!*locked || !same_file(fd.get(), temporary)) continue;
    temporary_ = std::move(temporary);
    fd_ = std::move(fd);
    return {};
  }
  return in_use(target_, temporary);
}

// Removes the temporary of a run that was killed; kFatal if its run is alive.
Result<void> Output::remove_stale() {
  std::string temporary = temporary_of(target_);
  stage::Fd fd(::open(temporary.c_str(), O_WRONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
  if (!fd && errno == ENOENT) return {};
  if (!fd) return io_failure("open the old", temporary, errno);
  auto locked = lock(fd.get(), temporary, false);
  if (!locked) return tl::unexpected(locked.error());
  if (!*locked) return in_use(target_, temporary);
  if (same_file(fd.get(), temporary) && ::unlink(temporary.c_str()) != 0) {
    return io_failure("remove the old", temporary, errno);
  }
  return {};
}

Result<void> Output::write(std::string_view records) {
  record_bytes_ += records.size();
  return encoder_->write(records);
}

Result<std::uint64_t> Output::commit() {
  std::uint64_t fresh = uncommitted_bytes();
  if (fresh == 0) return fresh;
  auto done = encoder_->end_frame();
  if (done && !temporary_.empty()) done = sync_data(fd_.get(), temporary_);
  if (!done) return tl::unexpected(done.error());
  committed_ = record_bytes_;
  return fresh;
}

Result<void> Output::publish() {
  auto done = encoder_->finish();
  if (done && !temporary_.empty()) done = give_name();
  if (!done) return done;
  committed_ = record_bytes_;
  fd_.reset();
  return {};
}

Result<void> Output::give_name() {
  if (auto done = sync_data(fd_.get(), temporary_); !done) return done;
  if (!force_) {
    auto renamed = rename_no_replace(temporary_, target_);
    if (!renamed) return tl::unexpected(renamed.error());
    if (!*renamed) return exists(target_);
  } else if (::rename(temporary_.c_str(), target_.c_str()) != 0) {
    return io_failure("rename to", target_, errno);
  }
  temporary_.clear();
  return sync_folder(folder_of(target_));
}

void Output::abandon() {
  if (!temporary_.empty()) ::unlink(temporary_.c_str());
  temporary_.clear();
  fd_.reset();
}

}  // namespace leat::writer
