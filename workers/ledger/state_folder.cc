// Locks are open-file-description locks (F_OFD_SETLK): they go when their holder goes, whatever kills it, and unlike
// flock(2) one can ask about them without taking them, so that asking which run has it is never in the way of a run.
#include "workers/ledger/state_folder.h"

#include <fcntl.h>
#include <fmt/chrono.h>
#include <fmt/format.h>
#include <pwd.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "proto/base/files.h"
#include "proto/base/mounts.h"

namespace leat::ledger {

namespace {

namespace fs = std::filesystem;

constexpr const char* kRunLock = "/run.lock";
constexpr const char* kWriterLock = "/writer.lock";

std::string variable(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

std::string home() {
  if (std::string folder = variable("HOME"); folder.starts_with('/')) return folder;
  const passwd* user = ::getpwuid(::geteuid());
  return user == nullptr || user->pw_dir == nullptr || user->pw_dir[0] != '/' ? "" : user->pw_dir;
}

tl::unexpected<Error> unusable(const std::string& folder, std::string_view why) {
  return fail(Fault::kFatal,
              fmt::format("the state folder {} {}; choose another one with --state", folder, why),
              kExitConfig);
}

// As errno says: the disk's fault, or one that another folder or right would mend.
tl::unexpected<Error> cannot(std::string_view action, const std::string& path) {
  auto failure = io_failure(action, path, errno);
  if (failure.value().fault == Fault::kFatal) failure.value().exit_code = kExitConfig;
  return failure;
}

// Where the folder is or will be, without links.
fs::path real_path(const std::string& folder) {
  std::error_code error;
  fs::path path = fs::weakly_canonical(folder, error);
  return error ? fs::path(folder).lexically_normal() : path;
}

Result<void> check_mount(const std::string& folder, std::string& warning) {
  std::string path = real_path(folder).string();
  if (path.size() > 1 && path.ends_with('/')) path.pop_back();
  Mount mount = Mounts::now().find(path);
  if (mount.fitness == Fitness::kUnfit) {
    return unusable(folder,
                    fmt::format("lies on a network file system ({} on {}), where a ledger is not safe",
                                mount.type, mount.point));
  }
  if (mount.fitness == Fitness::kDoubtful) {
    warning = fmt::format("the state folder {} lies on {} ({}): the ledger is as safe as what is behind that",
                          folder, mount.point, mount.type);
  }
  return {};
}

// With those above it, each new name durable.
Result<void> make_folder(const std::string& folder) {
  struct stat info {};
  if (::stat(folder.c_str(), &info) == 0) {
    return S_ISDIR(info.st_mode) ? Result<void>() : unusable(folder, "is no folder");
  }
  if (is_transient(errno)) return cannot("check", folder);
  if (errno != ENOENT) return unusable(folder, fmt::format("cannot be checked: {}", std::strerror(errno)));
  std::string above = folder_of(folder);
  if (auto made = make_folder(above); !made) return made;
  if (::mkdir(folder.c_str(), 0700) != 0 && errno != EEXIST) {
    if (is_transient(errno)) return cannot("make", folder);
    return unusable(folder, fmt::format("cannot be made: {}", std::strerror(errno)));
  }
  return sync_folder(above);
}

struct flock whole_file() {
  struct flock lock {};
  lock.l_type = F_WRLCK;
  lock.l_whence = SEEK_SET;
  return lock;
}

std::string read_note(int fd) {
  std::array<char, 8192> text;
  ssize_t count = ::pread(fd, text.data(), text.size(), 0);
  return {text.data(), static_cast<std::size_t>(count < 0 ? 0 : count)};
}

std::string line_of(std::string_view note, std::string_view key) {
  while (!note.empty()) {
    std::string_view line = note.substr(0, note.find('\n'));
    note.remove_prefix(std::min(line.size() + 1, note.size()));
    if (line.starts_with(key) && line.substr(key.size()).starts_with(' ')) {
      return std::string(line.substr(key.size() + 1));
    }
  }
  return {};
}

Holder holder_of(int fd) {
  std::string note = read_note(fd);
  return {line_of(note, "pid"), line_of(note, "host"), line_of(note, "since"), line_of(note, "pipeline")};
}

std::string text_of(const Holder& holder) {
  if (holder.pid.empty()) return "another process";
  std::string text = fmt::format("pid {} on {} since {}", holder.pid, holder.host, holder.since);
  return holder.pipeline.empty() ? text : fmt::format("{} ({})", text, holder.pipeline);
}

// false: another process has it.
Result<bool> lock(int fd, const std::string& path) {
  struct flock wanted = whole_file();
  if (::fcntl(fd, F_OFD_SETLK, &wanted) == 0) return true;
  if (errno == EAGAIN || errno == EACCES) return false;
  return cannot("lock", path);
}

Result<Fd> open_lock(const std::string& path) {
  Fd fd(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (fd) return fd;
  return cannot("open", path);
}

std::string now() {
  return fmt::format("{:%Y-%m-%dT%H:%M:%SZ}", fmt::gmtime(std::time(nullptr)));
}

void write_note(int fd, const std::string& pipeline_file) {
  std::array<char, 256> host{};
  ::gethostname(host.data(), host.size() - 1);
  std::string note = fmt::format("pid {}\nhost {}\nsince {}\n", ::getpid(), host.data(), now());
  if (!pipeline_file.empty()) note += fmt::format("pipeline {}\n", pipeline_file);
  // For people only; without room for it the lock is as good.
  if (::ftruncate(fd, 0) == 0) std::ignore = ::pwrite(fd, note.data(), note.size(), 0);
}

constexpr std::size_t kMostFailureBytes = 1024;
constexpr int kLockTries = 100;  // 2 s
constexpr timespec kLockPause{0, 20'000'000};

// Does the note name a process of this machine that is no more?
bool is_gone(const Holder& holder) {
  std::array<char, 256> host{};
  ::gethostname(host.data(), host.size() - 1);
  pid_t pid = static_cast<pid_t>(std::strtol(holder.pid.c_str(), nullptr, 10));
  return holder.host == host.data() && pid > 0 && ::kill(pid, 0) != 0 && errno == ESRCH;
}

std::string folder_of_user(const std::string& pipeline) {
  if (std::string state = variable("XDG_STATE_HOME"); state.starts_with('/'))
    return state + "/leat/" + pipeline;
  std::string user = home();
  return (user.empty() ? "/var/lib" : user + "/.local/state") + "/leat/" + pipeline;
}

}  // namespace

std::string default_state_folder(const std::string& pipeline) {
  std::string given = variable("STATE_DIRECTORY");
  given = given.substr(0, given.find(':'));
  return given.starts_with('/') ? given : folder_of_user(pipeline);
}

std::string state_option(const std::string& folder, const std::string& pipeline) {
  if (folder == folder_of_user(pipeline)) return {};
  constexpr std::string_view kPlain =
      "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789/._-+,:@%=";
  if (folder.find_first_not_of(kPlain) == std::string::npos) return " --state " + folder;
  std::string quoted;
  for (char c : folder) quoted += c == '\'' ? "'\\''" : std::string(1, c);
  return fmt::format(" --state '{}'", quoted);
}

Result<void> prepare_state_folder(const std::string& folder, std::string& warning) {
  if (!folder.starts_with('/')) return unusable(folder, "is no absolute path");
  if (auto fit = check_mount(folder, warning); !fit) return fit;
  if (auto made = make_folder(fs::path(folder).lexically_normal().string()); !made) return made;
  if (::access(folder.c_str(), R_OK | W_OK | X_OK) == 0) return {};
  if (is_transient(errno)) return cannot("write to", folder);
  return unusable(folder, fmt::format("cannot be written: {}", std::strerror(errno)));
}

Result<RunLock> RunLock::take(const std::string& folder, const std::string& pipeline_file) {
  auto fd = LEAT_TRY(open_lock(folder + kRunLock));
  auto locked = lock(fd.get(), folder + kRunLock);
  // A run that was just killed may leave its lock for a moment: with a worker that it was about to start, or on a file
  // system that is slow to hear of it.
  for (int i = 0; i < kLockTries && locked && !*locked && is_gone(holder_of(fd.get())); ++i) {
    ::nanosleep(&kLockPause, nullptr);
    locked = lock(fd.get(), folder + kRunLock);
  }
  if (!locked) return tl::unexpected(locked.error());
  if (!*locked) {
    return fail(
        Fault::kFatal,
        fmt::format(
            "another run has the state folder {}: {}; wait for it, or choose another one with --state",
            folder, text_of(holder_of(fd.get()))),
        kExitConfig);
  }
  write_note(fd.get(), pipeline_file);
  return RunLock(std::move(fd));
}

std::optional<Holder> RunLock::holder(const std::string& folder) {
  Fd fd(::open((folder + kRunLock).c_str(), O_RDONLY | O_CLOEXEC));
  struct flock asked = whole_file();
  if (!fd || ::fcntl(fd.get(), F_OFD_GETLK, &asked) != 0 || asked.l_type == F_UNLCK) return std::nullopt;
  return holder_of(fd.get());
}

void RunLock::failed(const std::string& run, int exit_code, std::string text) {
  std::replace(text.begin(), text.end(), '\n', ' ');
  text.resize(std::min(text.size(), kMostFailureBytes));
  const std::string note =
      fmt::format("run {}\nfailed-at {}\nexit-code {}\nfailure {}\n", run, now(), exit_code, text);
  struct stat info {};
  if (::fstat(fd_.get(), &info) == 0)
    std::ignore = ::pwrite(fd_.get(), note.data(), note.size(), info.st_size);
}

std::optional<Failure> RunLock::failure(const std::string& folder) {
  Fd fd(::open((folder + kRunLock).c_str(), O_RDONLY | O_CLOEXEC));
  const std::string note = fd ? read_note(fd.get()) : "";
  Failure failure{line_of(note, "run"), line_of(note, "failed-at"), line_of(note, "exit-code"),
                  line_of(note, "failure")};
  return failure.run.empty() ? std::nullopt : std::optional(std::move(failure));
}

Result<WriterLock> WriterLock::try_take(const std::string& folder) {
  auto fd = LEAT_TRY(open_lock(folder + kWriterLock));
  auto locked = LEAT_TRY(lock(fd.get(), folder + kWriterLock));
  if (!locked) {
    return fail(Fault::kRetry, fmt::format("another writer still has the state folder {}: {}", folder,
                                           text_of(holder_of(fd.get()))));
  }
  write_note(fd.get(), "");
  return WriterLock(std::move(fd));
}

}  // namespace leat::ledger
