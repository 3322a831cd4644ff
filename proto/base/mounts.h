// Which mount a path is on, and of what kind. All comes from /proc/self/mountinfo, read once: what lies on a network mount that
// does not answer is never asked, so nothing here waits for it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace leat {

// May a ledger live there?
enum class Fitness : std::uint8_t {
  kFit = 1,
  kDoubtful = 2,  // FUSE: as good as the program behind it
  // A network file system: no shared memory between machines, locks that lie, writes that come late.
  kUnfit = 3,
};

struct Mount {
  Fitness fitness = Fitness::kFit;
  std::string type;    // "ext4", "fuse.sshfs"; empty: no mount has the path
  std::string point;   // where it is mounted
  std::string device;  // "8:1", of its file system
  std::string root;    // what of that file system is mounted there: not "/" for a bind mount
};

// Which folder stays the same?
enum class Lasting : std::uint8_t {
  kWhileMountsChange,  // when a network mount on the way to it goes and comes back
  kAlways,             // also when it is removed and recreated
};

class Mounts {
 public:
  static Mounts now();
  // mountinfo: as in proc(5); lines that are none are passed over.
  explicit Mounts(std::string_view mountinfo);

  // path: absolute, without links or "..". The mount with the longest point that holds it; of several on one point the last,
  // which covers the others.
  Mount find(std::string_view path) const;

  // Is something mounted at just this name? A link to a mount is none. "/" always is: in a chroot no line tells of it.
  bool is_mount_point(std::string_view path) const;

  // The folder nearest to `folder` (absolute) that stays: above the outermost network mount, or `require_mount` (empty: none);
  // else itself, or its parent (but a folder below "/" stands for itself). No link is left in it.
  std::string lasting_folder(std::string_view folder, std::string_view require_mount, Lasting lasting) const;

  // `path` as it is called below `folder`, if the file is or would be in there, by whatever names, links and bind mounts
  // either is given: path "/out/a" is "/in/b/a" for the folder "/in" if /out is a link to /in/b. nullopt: it is not.
  // Looks at both, wherever they are.
  std::optional<std::string> seen_from(const std::string& folder, const std::string& path) const;

 private:
  struct Spot;
  std::optional<Spot> spot_of(const std::string& path) const;

  std::vector<Mount> all_;
};

}  // namespace leat
