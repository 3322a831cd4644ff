// On what kind of file system a path lies, and whether a ledger may live there.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace leat::ledger {

enum class Fitness : std::uint8_t {
  kFit = 1,
  kDoubtful = 2,  // FUSE: as good as the program behind it
  kUnfit =
      3,  // a network file system: no shared memory between machines, locks that lie, writes that come late
};

struct Mount {
  Fitness fitness = Fitness::kFit;
  std::string type;   // "ext4", "fuse.sshfs"; empty: no mount has the path
  std::string point;  // where it is mounted
};

// mountinfo: the text of /proc/self/mountinfo (proc(5)); path: absolute, without links or "..". The mount with the longest
// point that holds the path; of several on one point the last, which covers the others.
Mount find_mount(std::string_view mountinfo, std::string_view path);

// Which folder stays the same?
enum class Lasting : std::uint8_t {
  kWhileMountsChange,  // when a network mount on the way to it goes and comes back
  kAlways,             // also when it is removed and made anew
};

// The folder nearest to `folder` (absolute) that does: above the outermost network mount, or `require_mount` (empty: none); else
// itself, or its parent (but a folder below "/" stands for itself). No link is left in it. Nothing on a network mount is
// looked at, so this does not wait.
std::string lasting_folder(std::string_view mountinfo, std::string_view folder,
                           std::string_view require_mount, Lasting lasting);
// The same, with the mounts as they are now.
std::string lasting_folder(std::string_view folder, std::string_view require_mount, Lasting lasting);

}  // namespace leat::ledger
