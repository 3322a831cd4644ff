#include "workers/reader/presence.h"

#include <dirent.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <memory>
#include <utility>
#include <vector>

#include "config/glob.h"
#include "workers/reader/file.h"

namespace leat::reader {
namespace {

constexpr std::size_t kAtOnce = 512;  // the answers on them make a batch of less than 16 KiB
constexpr int kTriesADay = 24;

bool has_entries(const std::string& folder) {
  const std::unique_ptr<DIR, int (*)(DIR*)> dir(::opendir(folder.c_str()), ::closedir);
  if (!dir) return false;
  while (const dirent* entry = ::readdir(dir.get())) {
    if (entry->d_name[0] != '.') return true;  // as in a listing
  }
  return false;
}

}  // namespace

bool PresenceScan::due() {
  if (!known_.has_records()) return false;
  if (!std::exchange(scheduled_, true)) {
    using std::chrono::system_clock;
    // A ledger that cannot be asked now will say so when it is asked for more.
    const std::int64_t looked_s = known_.looked_s().value_or(0);
    const auto since = system_clock::now() - system_clock::time_point(std::chrono::seconds(looked_s));
    const auto day = shared_.options.day;
    due_at_ = Clock::now() + std::clamp(day - std::chrono::duration_cast<std::chrono::milliseconds>(since),
                                        std::chrono::milliseconds(0), day);
  }
  return Clock::now() >= due_at_;
}

bool PresenceScan::believable() const {
  const std::vector<std::string>& globs = shared_.options.source.paths;
  return shared_.outages.mount_is_there() &&
         std::all_of(globs.begin(), globs.end(),
                     [](const std::string& glob) { return has_entries(config::glob_root(glob)); });
}

Result<ledger::Presence> PresenceScan::next() {
  if (last_ == 0) believed_ = believable();
  Result<ledger::Presence> presence = part();
  if (presence && believable() != believed_) presence = fail(Fault::kRetry, "source.paths: they come and go");
  if (presence && !presence->whole) return presence;
  last_ = 0;
  due_at_ = Clock::now() + (presence ? shared_.options.day : shared_.options.day / kTriesADay);
  return presence;
}

Result<ledger::Presence> PresenceScan::part() {
  std::vector<ledger::View::Sought> sources = LEAT_TRY(known_.sought_after(last_, kAtOnce));
  ledger::Presence presence;
  for (const ledger::View::Sought& source : sources) {
    LEAT_TRY(check(source, presence));
    last_ = source.id;
  }
  presence.whole = sources.size() < kAtOnce;
  presence.believed = presence.whole && believed_;
  return presence;
}

Result<void> PresenceScan::check(const ledger::View::Sought& source, ledger::Presence& presence) const {
  struct stat found;  // of a link, not of what it leads to: that may be on another mount
  const int error = ::lstat(source.path.c_str(), &found) == 0 ? 0 : errno;
  if (error != 0 && fault_of(error) == Fault::kRetry) {
    return tl::unexpected(io_error("stat", source.path, 0, error));
  }
  const bool gone = error == ENOENT || error == ENOTDIR;
  if (!gone && source.absent) presence.present.push_back(source.id);
  if (!gone || source.absent || !(believed_ || source.after_done)) return {};
  const config::Source& sources = shared_.options.source;
  if (config::is_source(sources.paths, sources.exclude, source.path)) presence.absent.push_back(source.id);
  return {};
}

}  // namespace leat::reader
