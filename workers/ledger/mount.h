// On what kind of file system a path lies, and whether a ledger may live there.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace leat::ledger {

enum class Fitness : std::uint8_t {
  kFit = 1,
  kDoubtful = 2,  // FUSE: as good as the program behind it
  // a network file system: no shared memory between machines, locks that lie, writes that come late
  kUnfit = 3,
};

struct Mount {
  Fitness fitness = Fitness::kFit;
  std::string type;    // "ext4", "fuse.sshfs"; empty: no mount has the path
  std::string point;   // where it is mounted
  std::string device;  // "8:1", of its file system
  std::string root;    // what of that file system is mounted there: not "/" for a bind mount
};

// mountinfo: the text of /proc/self/mountinfo (proc(5)); path: absolute, without links or "..". The mount with the longest
// point that holds the path; of several on one point the last, which covers the others.
Mount find_mount(std::string_view mountinfo, std::string_view path);

// Which folder stays the same?
enum class Lasting : std::uint8_t {
  kWhileMountsChange,  // when a network mount on the way to it goes and comes again
  kAlways,             // also when it is removed and made again
};

// The folder nearest to `folder` (absolute) that does: above the outermost network mount, or `require_mount` (empty: none); else
// itself, or its parent (but a folder below "/" stands for itself). No link is left in it. Nothing on a network mount is
// checked, so this does not wait.
std::string lasting_folder(std::string_view mountinfo, std::string_view folder,
                           std::string_view require_mount, Lasting lasting);
// The same, with the mounts as they are now.
std::string lasting_folder(std::string_view folder, std::string_view require_mount, Lasting lasting);

// `path` as it is called below `folder`, if the file is or would be in there, by whatever names, links and bind mounts
// either is given: path "/out/a" is "/in/b/a" for the folder "/in" if /out is a link to /in/b. nullopt: it is not.
std::optional<std::string> seen_from(const std::string& folder, const std::string& path);

// One of the globs by which `output`, when it is made, would be read as a source; empty: none.
std::string reads_own_output(const std::vector<std::string>& globs, const std::string& output);

}  // namespace leat::ledger
