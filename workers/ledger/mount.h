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

}  // namespace leat::ledger
