#include "proto/base/mounts.h"

#include <doctest/doctest.h>

#include <filesystem>

#include "tests/unit/folder.h"

using namespace leat;
using leat::test::Folder;
namespace fs = std::filesystem;

namespace {

constexpr const char* kMounts =
    "22 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw\n"
    "23 22 0:30 / /mnt/nas rw shared:2 master:1 - nfs4 nas:/export rw,vers=4.2\n"
    "24 22 0:31 / /mnt/win rw - cifs //nas/share rw\n"
    "25 23 8:1 / /mnt/nas/local rw - ext4 /dev/sda1 rw\n"
    "26 22 0:32 / /mnt/with\\040space rw - fuse.sshfs me@host: rw\n"
    "27 22 0:33 / /mnt/pool rw - fuse.mergerfs a:b rw\n"
    "28 22 0:34 / /over rw - nfs x rw\n"
    "29 22 8:2 / /over rw - xfs /dev/sdb rw\n"
    "30 22 8:3 / /usb rw - fuseblk /dev/sdc rw\n"
    "a line that is none\n"
    "31 22 0:40 / /cut";

Fitness fitness(const char* path) {
  return Mounts(kMounts).find(path).fitness;
}

}  // namespace

TEST_CASE("network file systems are unfit, FUSE is doubtful, disks are fit") {
  CHECK(fitness("/home/u/state") == Fitness::kFit);
  CHECK(fitness("/mnt/nas/state") == Fitness::kUnfit);
  CHECK(fitness("/mnt/nas") == Fitness::kUnfit);
  CHECK(fitness("/mnt/win/a") == Fitness::kUnfit);
  CHECK(fitness("/mnt/with space/a") == Fitness::kUnfit);
  CHECK(fitness("/mnt/pool/a") == Fitness::kDoubtful);
  CHECK(fitness("/usb/a") == Fitness::kDoubtful);
}

TEST_CASE("the longest mount point counts, whole names only, and the last mount on a point") {
  CHECK(Mounts(kMounts).find("/mnt/nas/local/state").point == "/mnt/nas/local");
  CHECK(fitness("/mnt/nas/local/state") == Fitness::kFit);
  CHECK(Mounts(kMounts).find("/mnt/nasty").point == "/");
  CHECK(Mounts(kMounts).find("/over/a").type == "xfs");
  CHECK(Mounts(kMounts).find("/mnt/with space/a").type == "fuse.sshfs");
  CHECK(Mounts(kMounts).find("/mnt/with\\040space/a").type == "ext4");
  CHECK(Mounts(kMounts).find("/cut/a").type == "ext4");
  CHECK(Mounts("").find("/a").type.empty());
  CHECK(Mounts("").find("/a").fitness == Fitness::kFit);
}

TEST_CASE("a mount point is told from a folder, by its name alone") {
  const Mounts mounts(kMounts);
  CHECK(mounts.is_mount_point("/"));
  CHECK(mounts.is_mount_point("/mnt/nas"));
  CHECK(mounts.is_mount_point("/mnt/nas/"));
  CHECK(mounts.is_mount_point("/mnt/with space"));
  CHECK_FALSE(mounts.is_mount_point("/mnt"));
  CHECK_FALSE(mounts.is_mount_point("/mnt/nas/in"));
  CHECK_FALSE(mounts.is_mount_point(""));
  CHECK(Mounts("").is_mount_point("/"));
  CHECK(Mounts::now().is_mount_point("/proc"));
  CHECK_FALSE(Mounts::now().is_mount_point("/proc/self"));
}

TEST_CASE("a link to a mount is no mount point: it may lead elsewhere by the time it is used") {
  const Folder folder;
  fs::create_directory_symlink("/proc", folder.path("link"));
  CHECK_FALSE(Mounts::now().is_mount_point(folder.path("link")));
}

TEST_CASE("what lasts is above a network mount, and nothing in there is looked at") {
  const Mounts mounts(kMounts);
  CHECK(mounts.lasting_folder("/mnt/nas/in", "", Lasting::kWhileMountsChange) == "/mnt");
  CHECK(mounts.lasting_folder("/", "", Lasting::kAlways) == "/");
  const Folder folder;
  fs::create_directories(folder.path("in/b"));
  fs::create_directory_symlink("in/b", folder.path("link"));
  CHECK(mounts.lasting_folder(folder.path("link"), "", Lasting::kWhileMountsChange) == folder.path("in/b"));
  CHECK(mounts.lasting_folder(folder.path("link"), "", Lasting::kAlways) == folder.path("in"));
  CHECK(mounts.lasting_folder(folder.path("in/b"), folder.path("in"), Lasting::kAlways) == folder.root());
  CHECK(mounts.lasting_folder(folder.path("in/b/new/x"), "", Lasting::kWhileMountsChange) ==
        folder.path("in"));
}

TEST_CASE("a file is seen from a folder by whatever way it is in there") {
  const Folder folder;
  const Mounts mounts = Mounts::now();
  fs::create_directories(folder.path("in/b"));
  fs::create_directory_symlink("in/b", folder.path("out"));
  CHECK(mounts.seen_from(folder.path("in"), folder.path("out/x")) == folder.path("in/b/x"));
  CHECK(mounts.seen_from(folder.path("out"), folder.path("in/b/new/x")) == folder.path("out/new/x"));
  CHECK(mounts.seen_from(folder.path("in"), folder.path("other/x")) == std::nullopt);
  CHECK(mounts.seen_from(folder.path("in/b"), folder.path("in/bb/x")) == std::nullopt);
  CHECK(mounts.seen_from("/", "/x") == "/x");
}
