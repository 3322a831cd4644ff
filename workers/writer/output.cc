#include "workers/writer/output.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <utility>

#include "workers/writer/temporary.h"

namespace leat::writer {

namespace {

constexpr int kFifoTries = 500;  // 10 s
constexpr timespec kFifoPause{0, 20'000'000};
constexpr char kStdout[] = "/dev/stdout";

tl::unexpected<Error> exists(const std::string& target, const OutputOptions& options) {
  const char* advice = options.daemon ? "move it away" : "--force replaces it";
  return fail(Fault::kFatal, fmt::format("{} exists already; {}", target, advice), kExitConfig);
}

// Opens a FIFO for writing once it has a reader: a plain open would hang without a way out.
Result<Fd> open_fifo(const std::string& path) {
  int follow = is_private(folder_of(path)) ? 0 : O_NOFOLLOW;
  for (int i = 0; i < kFifoTries; ++i) {
    Fd fd(::open(path.c_str(), O_WRONLY | O_NONBLOCK | O_CLOEXEC | follow));
    if (fd) {
      ::fcntl(fd.get(), F_SETFL, O_WRONLY);
      LEAT_TRY(check_owner(fd.get(), path));
      return fd;
    }
    if (errno != ENXIO) return io_failure("open", path, errno);
    ::nanosleep(&kFifoPause, nullptr);
  }
  return fail(Fault::kRetry,
              fmt::format("no process reads the FIFO {}: start its reader and run again", path));
}

Result<Fd> open_device(const std::string& path) {
  // /dev/stdout is not opened again: it may be a socket, or a file that others append to as well.
  Fd fd(path == kStdout ? ::fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 0)
                        : ::open(path.c_str(), O_WRONLY | O_CLOEXEC | O_NOCTTY));
  if (!fd) return io_failure("open", path, errno);
  if (path == kStdout) return fd;
  LEAT_TRY(check_owner(fd.get(), path));
  return fd;
}

// By the first bytes, which no JSON text can begin with.
config::Compression compression_of(std::string_view head) {
  if (head.starts_with("\x28\xB5\x2F\xFD")) return config::Compression::kZstd;
  if (head.starts_with("\x1F\x8B")) return config::Compression::kGzip;
  return config::Compression::kNone;
}

}  // namespace

Output::Output(ledger::Output row, const OutputOptions& options) : row_(std::move(row)), options_(options) {}

Output::~Output() {
  if (!special() && !kept_ && row_.state != ledger::OutputState::kPublished) ::unlink(row_.temporary.c_str());
}

Result<std::unique_ptr<Output>> Output::open(std::string target, const OutputOptions& options) {
  ledger::Output row;
  row.target = std::move(target);
  std::unique_ptr<Output> output(new Output(std::move(row), options));
  bool special = false;
  auto opened = output->open_special(special);
  if (opened && !special) opened = output->open_temporary();
  if (opened) opened = output->begin_encoding();
  if (!opened) return tl::unexpected(opened.error());
  return output;
}

Result<std::unique_ptr<Output>> Output::reopen(const ledger::Output& row, const OutputOptions& options) {
  std::unique_ptr<Output> output(new Output(row, options));
  output->keep();
  output->mark_reported();
  bool goes_on = row.state == ledger::OutputState::kWriting;
  auto opened = goes_on ? output->check_free() : Result<void>{};
  if (opened) opened = output->reopen_temporary();
  if (opened && goes_on) opened = output->begin_encoding();
  if (!opened) return tl::unexpected(opened.error());
  return output;
}

Result<void> Output::check_free() {
  // A link that leads nowhere is in the way too.
  auto name = LEAT_TRY(stat_file(row_.target));
  return name && !options_.force ? exists(row_.target, options_) : Result<void>{};
}

// Opens the target if it is one to write in place; refuses what can be neither that nor a new file.
Result<void> Output::open_special(bool& special) {
  const std::string& target = row_.target;
  struct stat info {};
  // Where others can put links, a link is in the way like any other file.
  bool follow = is_private(folder_of(target));
  bool found = (follow ? ::stat(target.c_str(), &info) : ::lstat(target.c_str(), &info)) == 0;
  if (!found && is_transient(errno)) return io_failure("stat", target, errno);
  special = target == kStdout || (found && !S_ISREG(info.st_mode) && !S_ISLNK(info.st_mode));
  if (!special) return check_free();
  if (target != kStdout && !S_ISFIFO(info.st_mode) && !S_ISCHR(info.st_mode)) {
    const char* what = S_ISDIR(info.st_mode) ? "folder" : S_ISSOCK(info.st_mode) ? "socket" : "block device";
    return fail(Fault::kFatal, fmt::format("{} is a {}, not a file: choose another sink.path", target, what),
                kExitConfig);
  }
  fd_ = LEAT_TRY(target != kStdout && S_ISFIFO(info.st_mode) ? open_fifo(target) : open_device(target));
  return {};
}

Result<void> Output::open_temporary() {
  if (auto folder = check_folder(folder_of(row_.target)); !folder) return folder;
  auto made = LEAT_TRY(create_temporary(row_.target));
  row_.temporary = temporary_of(row_.target);
  fd_ = std::move(made.fd);
  info_ = made.info;
  return {};
}

Result<void> Output::reopen_temporary() {
  auto found = LEAT_TRY(writer::open_temporary(row_.temporary));
  if (!found.fd && row_.length == 0) return open_temporary();
  if (!found.fd || found.info.size < row_.length) {
    std::string state = found.fd ? fmt::format("has {} bytes", found.info.size) : "is missing";
    return fail(
        Fault::kFatal,
        fmt::format("{} {}, shorter than what was committed: {} bytes of {} (is its file system mounted?){}",
                    row_.temporary, state, row_.length, row_.target,
                    options_.daemon ? "" : "; --fresh starts over"));
  }
  fd_ = std::move(found.fd);
  info_ = found.info;
  begin_ = row_.length;
  record_bytes_ = row_.record_bytes;
  if (auto same = check_same_compression(); !same) return same;
  if (found.info.size > row_.length) {
    if (auto done = cut(fd_.get(), row_.length, row_.temporary); !done) return done;
  }
  if (::lseek(fd_.get(), 0, SEEK_END) < 0) return io_failure("write to the end of", row_.temporary, errno);
  return {};
}

// A frame of another kind in the middle of a file would make all of it unreadable.
Result<void> Output::check_same_compression() {
  if (begin_ == 0 || row_.state != ledger::OutputState::kWriting) return {};
  std::array<char, 4> head{};
  ssize_t count = ::pread(fd_.get(), head.data(), head.size(), 0);
  if (count < 0) return io_failure("read", row_.temporary, errno);
  if (compression_of({head.data(), static_cast<std::size_t>(count)}) == options_.compression) return {};
  return fail(Fault::kFatal,
              fmt::format("{} was begun with another sink.compression: set it back{}", row_.temporary,
                          options_.daemon ? "" : ", or --fresh starts over"),
              kExitConfig);
}

Result<void> Output::begin_encoding() {
  const std::string& path = special() ? row_.target : row_.temporary;
  encoder_ = LEAT_TRY(make_encoder(options_.compression, options_.level, options_.threads, fd_.get(), path));
  return {};
}

Result<void> Output::write(std::string_view records) {
  if (records.empty()) return {};
  record_bytes_ += records.size();
  unsynced_ = true;
  return encoder_->write(records);
}

Result<std::uint64_t> Output::commit() {
  if (unsynced_) {
    auto done = encoder_ ? encoder_->end_frame() : Result<void>{};
    if (done && encoder_) row_.length = begin_ + encoder_->bytes_out();
    if (done && !special()) done = sync_data(fd_.get(), row_.temporary);
    if (!done) return tl::unexpected(done.error());
    unsynced_ = false;
    reported_ = false;
    row_.record_bytes = record_bytes_;
  }
  return row_.length;
}

Result<void> Output::finish() {
  if (!encoder_) return {};
  auto done = begin_ > 0 ? encoder_->end_frame() : encoder_->finish();
  if (!done) return done;
  unsynced_ = unsynced_ || begin_ + encoder_->bytes_out() != row_.length;
  row_.length = begin_ + encoder_->bytes_out();
  encoder_.reset();
  return {};
}

Result<void> Output::settle() {
  LEAT_TRY(commit());
  fd_.reset();
  return {};
}

Result<void> Output::publish() {
  if (!special()) {
    int error = 0;
    if (!options_.force) {
      error = rename_no_replace(row_.temporary, row_.target);
    } else if (::rename(row_.temporary.c_str(), row_.target.c_str()) != 0) {
      error = errno;
    }
    if (error != 0) {
      // A crash came between link(2) and unlink(2), or a network mount has done it and lost the answer.
      auto target = stat_file(row_.target);
      if (!target || !*target || !(*target)->same_file(info_)) {
        return error == EEXIST ? exists(row_.target, options_) : io_failure("rename to", row_.target, error);
      }
      if (::unlink(row_.temporary.c_str()) != 0 && errno != ENOENT) {
        return io_failure("remove", row_.temporary, errno);
      }
    }
  }
  if (special()) row_.record_bytes = record_bytes_;
  fd_.reset();  // not before: it holds the lock. Of a FIFO: its reader sees the end
  row_.state = ledger::OutputState::kPublished;
  return {};
}

}  // namespace leat::writer
