// Publishing without surprises.
//
// Three others can be at odds with us over one target: a second leat with the same sink, a leat that was
// killed and left its temporary, and a stranger who creates the target while leat is writing. A lock
// file beside the target would need cleaning up itself, so the temporary is the lock: flock(2) dies with
// its holder, whatever kills it. Created with O_EXCL it is never somebody else's file or a planted link.
// Between creating and locking, another leat may take it for a stale one and remove it; so after
// locking, the name is compared with the descriptor, and a loser begins again. Against the stranger
// helps RENAME_NOREPLACE (output.cc): the kernel's answer, not a look before the leap.
#include "workers/writer/temporary.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

namespace leat::writer {

namespace {

constexpr int kOpenTries = 16;  // each lost only to another leat that starts at the same moment

bool named(const FileInfo& opened, const std::string& path) {
  auto found = stat_file(path);
  return found && *found && (*found)->same_file(opened);
}

tl::unexpected<Error> in_use(const std::string& target, const FileInfo& temporary) {
  return fail(Fault::kFatal,
              fmt::format("{} is in use: {} has locked {}; wait for it, or choose another sink.path", target,
                          lock_holder(temporary), temporary_of(target)),
              kExitConfig);
}

// alone: nobody else can be at it, should the file system have no locks. locked: by us, now.
Result<Temporary> open_existing(const std::string& path, bool alone, bool& locked) {
  Temporary found;
  found.fd = Fd(::open(path.c_str(), O_RDWR | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
  if (!found.fd) return errno == ENOENT ? Result<Temporary>{} : io_failure("open", path, errno);
  found.info = LEAT_TRY(stat_file(found.fd.get(), path));
  if (!found.info.regular) {
    return fail(Fault::kFatal, fmt::format("{} is no regular file: remove it and run again", path),
                kExitConfig);
  }
  locked = LEAT_TRY(lock(found.fd.get(), path, alone));
  return found;
}

// Removes what a run that was killed has left under this name; kFatal if its run is alive.
Result<void> remove_stale(const std::string& target) {
  std::string path = temporary_of(target);
  bool locked = true;
  auto old = LEAT_TRY(open_existing(path, false, locked));
  if (!locked) return in_use(target, old.info);
  if (old.fd && named(old.info, path) && ::unlink(path.c_str()) != 0) {
    return io_failure("remove the old", path, errno);
  }
  return {};
}

}  // namespace

std::string temporary_of(std::string_view target) {
  std::string folder = folder_of(target);
  return fmt::format("{}{}.{}.leat-tmp", folder, folder == "/" ? "" : "/", name_of(target));
}

Result<Temporary> create_temporary(const std::string& target) {
  std::string path = temporary_of(target);
  FileInfo last;
  for (int i = 0; i < kOpenTries; ++i) {
    Temporary made;
    made.fd = Fd(::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666));
    if (!made.fd) {
      if (errno != EEXIST) return io_failure("create", path, errno);
      LEAT_TRY(remove_stale(target));
      continue;
    }
    auto locked = LEAT_TRY(lock(made.fd.get(), path, true));
    made.info = LEAT_TRY(stat_file(made.fd.get(), path));
    if (locked && named(made.info, path)) return made;
    last = made.info;
  }
  return in_use(target, last);
}

Result<Temporary> open_temporary(const std::string& path) {
  bool locked = true;
  auto found = open_existing(path, true, locked);
  if (!found || !found->fd) return found;
  if (!locked) {
    return fail(Fault::kRetry,
                fmt::format("{} has locked {}: waiting for it", lock_holder(found->info), path));
  }
  auto ours = check_owner(found->fd.get(), path);
  return ours ? std::move(found) : tl::unexpected(ours.error());
}

Result<void> remove_temporary(const std::string& path) {
  auto found = LEAT_TRY(open_temporary(path));
  if (found.fd && ::unlink(path.c_str()) != 0 && errno != ENOENT) return io_failure("remove", path, errno);
  return {};
}

}  // namespace leat::writer
