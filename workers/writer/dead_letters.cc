#include "workers/writer/dead_letters.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>

#include "workers/writer/file.h"

namespace leat::writer {

namespace {

constexpr std::size_t kBufferBytes = 64 * 1024;
constexpr std::size_t kKeptBytes = 1024 * 1024;       // a buffer that a long record made larger is given back
constexpr std::string_view kLineStart = "{\"source";  // "source" or "source_base64"

// Offset behind the last newline of a file of `size` bytes; 0 if there is none.
Result<std::uint64_t> end_of_last_line(int fd, std::uint64_t size, const std::string& path) {
  std::string block;
  for (std::uint64_t end = size; end > 0;) {
    std::uint64_t begin = end > kBufferBytes ? end - kBufferBytes : 0;
    block.resize(static_cast<std::size_t>(end - begin));
    ssize_t count = ::pread(fd, block.data(), block.size(), static_cast<off_t>(begin));
    if (count < 0 || static_cast<std::size_t>(count) != block.size()) {
      return io_failure("read", path, count < 0 ? errno : EIO);
    }
    if (std::size_t newline = block.rfind('\n'); newline != std::string::npos) return begin + newline + 1;
    end = begin;
  }
  return std::uint64_t{0};
}

tl::unexpected<Error> is_a_link(const std::string& path) {
  return fail(Fault::kFatal,
              fmt::format("{} is a link, and others can write to its folder: name the file itself in "
                          "dead_letter.path, or remove it",
                          path),
              kExitConfig);
}

// Ours were committed up to known.length, and what is behind that was not.
bool is_uncommitted(const ledger::DeadLetterFile& known, std::uint64_t size, bool whole) {
  return size > known.length && !whole;
}

}  // namespace

// What is asked for again after a failure begins with the name: the file may be another one then.
Result<void> DeadLetters::check(const std::optional<ledger::DeadLetterFile>& known, bool whole) {
  auto checked = try_check(known, whole);
  if (!checked) fd_ = Fd();
  return checked;
}

Result<void> DeadLetters::start(const std::optional<ledger::DeadLetterFile>& known, bool whole) {
  auto started = try_start(known, whole);
  if (!started) fd_ = Fd();
  return started;
}

bool DeadLetters::is_ours(const std::optional<ledger::DeadLetterFile>& known) const {
  return known && known->path == path();
}

Result<void> DeadLetters::try_check(const std::optional<ledger::DeadLetterFile>& known, bool whole) {
  struct stat info {};
  if (::stat(path().c_str(), &info) != 0) return check_absent();
  if (auto opened = open(); !opened || !regular_) return opened;
  auto size = static_cast<std::uint64_t>(info.st_size);
  if (is_ours(known) && is_uncommitted(*known, size, whole)) return {};
  auto end = end_of_letters(size);
  return end ? Result<void>{} : tl::unexpected(end.error());
}

// It is made by the first letter.
Result<void> DeadLetters::check_absent() const {
  if (is_transient(errno)) return io_failure("stat", path(), errno);
  const std::string folder = folder_of(path());
  struct stat info {};
  if (::lstat(path().c_str(), &info) == 0 && !is_private(folder)) return is_a_link(path());
  return check_folder(folder);
}

Result<void> DeadLetters::try_start(const std::optional<ledger::DeadLetterFile>& known, bool whole) {
  bool ours = is_ours(known);
  file_.length = 0;
  file_.letters = ours ? known->letters : 0;
  struct stat info {};
  if (::stat(path().c_str(), &info) == 0) {
    if (auto opened = open(); !opened || !regular_) return opened;
    auto size = static_cast<std::uint64_t>(info.st_size);
    auto done = ours ? cut_uncommitted(*known, size, whole) : cut_partial_line(size);
    if (!done) return done;
  } else {
    if (auto checked = check_absent(); !checked) return checked;
    if (ours && known->length > 0) {
      note_ = fmt::format("{} is missing, with {} dead letter{} in it: starting a new one", path(),
                          known->letters, known->letters == 1 ? "" : "s");
      file_.letters = 0;
    }
  }
  dirty_ = !ours || known->length != file_.length;
  return {};
}

Result<void> DeadLetters::open() {
  if (fd_) return {};
  struct stat info {};
  // Where others can put links, what one leads to may be anybody's.
  int follow = is_private(folder_of(path())) ? 0 : O_NOFOLLOW;
  bool existed = ::stat(path().c_str(), &info) == 0;
  regular_ = !existed || S_ISREG(info.st_mode);
  // Of a FIFO, the check of its owner comes before waiting for a reader.
  int access = regular_ ? O_RDWR | O_CREAT | O_APPEND : O_WRONLY | O_APPEND | O_NOCTTY | O_NONBLOCK;
  fd_ = Fd(::open(path().c_str(), access | O_CLOEXEC | follow, 0666));
  if (!fd_ && errno == ELOOP) return is_a_link(path());
  if (!fd_ && errno == ENXIO) {
    return fail(Fault::kRetry, fmt::format("no process reads the FIFO {}: start its reader", path()));
  }
  if (!fd_) return io_failure("open the dead-letter file", path(), errno);
  if (auto ours = check_owner(fd_.get(), path()); !ours) return ours;
  if (!regular_) return {};
  auto locked = LEAT_TRY(lock(fd_.get(), path(), true));
  if (!locked) {
    return fail(
        Fault::kFatal,
        fmt::format("another leat is writing {}; wait for it, or choose another dead_letter.path", path()),
        kExitConfig);
  }
  // Whoever made it may have died before this.
  auto synced = sync_folder(folder_of(path()));
  return existed && !synced && synced.error().fault != Fault::kRetry ? Result<void>{} : synced;
}

Result<void> DeadLetters::cut_uncommitted(const ledger::DeadLetterFile& known, std::uint64_t size,
                                          bool whole) {
  file_.length = size;
  if (size < known.length) {
    note_ = fmt::format("{} has {} of the {} bytes that were written: continuing at its end", path(), size,
                        known.length);
    return cut_partial_line(size);
  }
  if (!is_uncommitted(known, size, whole)) return cut_partial_line(size);
  file_.length = known.length;
  return cut(fd_.get(), known.length, path());
}

Result<void> DeadLetters::cut_partial_line(std::uint64_t size) {
  auto end = LEAT_TRY(end_of_letters(size));
  file_.length = end;
  if (end == size) return {};
  if (auto done = cut(fd_.get(), end, path()); !done) return done;
  note_ = fmt::format("{}: cut off {} bytes of an unfinished line that a crash had left", path(), size - end);
  return {};
}

Result<std::uint64_t> DeadLetters::end_of_letters(std::uint64_t size) {
  auto end = end_of_last_line(fd_.get(), size, path());
  if (!end || *end == size) return end;

  // Only what looks like the beginning of a dead letter, or the NUL bytes that a power cut leaves, is
  // ours to cut.
  std::array<char, kLineStart.size()> head{};
  ssize_t count = ::pread(fd_.get(), head.data(), head.size(), static_cast<off_t>(*end));
  if (count <= 0) return io_failure("read", path(), count < 0 ? errno : EIO);
  std::string_view start(head.data(), static_cast<std::size_t>(count));
  if (start.front() != '\0' && !kLineStart.starts_with(start)) {
    return fail(Fault::kFatal,
                fmt::format("{} ends in the middle of a line that is not a dead letter: choose another "
                            "dead_letter.path, or end that line",
                            path()),
                kExitConfig);
  }
  return end;
}

Result<void> DeadLetters::append(const DeadLetter& letter) {
  if (!fd_) {
    if (auto opened = open(); !opened) return opened;
  }
  out_.reserve(kBufferBytes);
  proto::append_line(out_, letter);
  ++count_;
  ++file_.letters;
  dirty_ = true;
  if (out_.size() >= kBufferBytes) return flush();
  return {};
}

Result<void> DeadLetters::flush() {
  if (out_.empty()) return {};
  unsynced_ = true;
  file_.length += out_.size();
  auto written = write_all(fd_.get(), out_.view(), path());
  out_.clear();
  if (out_.capacity() > kKeptBytes) out_ = Buffer();
  return written;
}

Result<void> DeadLetters::commit() {
  if (auto flushed = flush(); !flushed) return flushed;
  if (!unsynced_ || !regular_) return {};
  if (auto synced = sync_data(fd_.get(), path()); !synced) return synced;
  unsynced_ = false;
  return {};
}

}  // namespace leat::writer
