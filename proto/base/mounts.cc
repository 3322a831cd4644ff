#include "proto/base/mounts.h"

#include <algorithm>
#include <array>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <system_error>
#include <utility>

#include "proto/base/files.h"

namespace leat {

namespace {

constexpr std::array<std::string_view, 16> kNetwork{
    "nfs",  "nfs4", "cifs",      "smb3",   "smbfs",  "smb",   "9p",     "afs",
    "ceph", "coda", "glusterfs", "lustre", "beegfs", "ncpfs", "vboxsf", "pvfs2"};
constexpr std::array<std::string_view, 21> kNetworkFuse{
    "sshfs",    "rclone", "glusterfs", "s3fs",       "ceph",          "ceph-fuse",   "curlftpfs",
    "davfs",    "davfs2", "goofys",    "gcsfuse",    "juicefs",       "mfs",         "seaweedfs",
    "smbnetfs", "hdfs",   "afpfs",     "gvfsd-fuse", "mountpoint-s3", "vmhgfs-fuse", "blobfuse2"};

bool is_digit(char byte) {
  return byte >= '0' && byte <= '7';
}

// Space, tab, newline and backslash stand as \040 and the like.
std::string decoded(std::string_view field) {
  std::string out;
  for (std::size_t i = 0; i < field.size(); ++i) {
    bool escape = field[i] == '\\' && i + 3 < field.size() && is_digit(field[i + 1]) &&
                  is_digit(field[i + 2]) && is_digit(field[i + 3]);
    if (!escape) {
      out += field[i];
      continue;
    }
    out += static_cast<char>((field[i + 1] - '0') * 64 + (field[i + 2] - '0') * 8 + (field[i + 3] - '0'));
    i += 3;
  }
  return out;
}

// The field at `index`, of fields that one space each divides.
std::string_view field_of(std::string_view line, int index) {
  for (; index > 0; --index) {
    std::size_t space = line.find(' ');
    if (space == std::string_view::npos) return {};
    line.remove_prefix(space + 1);
  }
  return line.substr(0, line.find(' '));
}

bool holds(std::string_view point, std::string_view path) {
  if (point == "/") return path.starts_with('/');
  return path.starts_with(point) && (path.size() == point.size() || path[point.size()] == '/');
}

Fitness fitness_of(std::string_view type) {
  auto is_in = [](const auto& names, std::string_view name) {
    return std::find(names.begin(), names.end(), name) != names.end();
  };
  if (is_in(kNetwork, type)) return Fitness::kUnfit;
  if (type == "fuse" || type == "fuseblk") return Fitness::kDoubtful;
  constexpr std::string_view kFuse = "fuse.";
  if (!type.starts_with(kFuse)) return Fitness::kFit;
  return is_in(kNetworkFuse, type.substr(kFuse.size())) ? Fitness::kUnfit : Fitness::kDoubtful;
}

// Components, the first one last.
std::vector<std::string> components(std::string_view path) {
  std::vector<std::string> parts;
  for (const auto& part : std::filesystem::path(path)) {
    if (part != "/" && part != "." && !part.empty()) parts.push_back(part.string());
  }
  std::reverse(parts.begin(), parts.end());
  return parts;
}

}  // namespace

// Where a path is in its file system, and in which one.
struct Mounts::Spot {
  std::string device;
  std::string path;
};

Mounts Mounts::now() {
  std::ifstream in("/proc/self/mountinfo", std::ios::binary);
  return Mounts(std::string{std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()});
}

Mounts::Mounts(std::string_view mountinfo) {
  while (!mountinfo.empty()) {
    std::size_t end = std::min(mountinfo.find('\n'), mountinfo.size());
    std::string_view line = mountinfo.substr(0, end);
    mountinfo.remove_prefix(std::min(end + 1, mountinfo.size()));
    // ID PARENT MAJOR:MINOR ROOT POINT OPTIONS [TAGS...] - TYPE SOURCE OPTIONS
    constexpr std::string_view kDash = " - ";
    std::size_t dash = line.find(kDash);
    Mount mount;
    mount.point = decoded(field_of(line, 4));
    if (dash == std::string_view::npos || mount.point.empty()) continue;
    mount.type = decoded(field_of(line.substr(dash + kDash.size()), 0));
    mount.fitness = fitness_of(mount.type);
    mount.device = field_of(line, 2);
    mount.root = decoded(field_of(line, 3));
    all_.push_back(std::move(mount));
  }
}

Mount Mounts::find(std::string_view path) const {
  const Mount* found = nullptr;
  for (const Mount& mount : all_) {
    if (holds(mount.point, path) && (found == nullptr || mount.point.size() >= found->point.size()))
      found = &mount;
  }
  return found == nullptr ? Mount() : *found;
}

bool Mounts::is_mount_point(std::string_view path) const {
  while (path.size() > 1 && path.ends_with('/')) path.remove_suffix(1);
  return path == "/" ||
         std::any_of(all_.begin(), all_.end(), [&](const Mount& mount) { return mount.point == path; });
}

std::optional<Mounts::Spot> Mounts::spot_of(const std::string& path) const {
  std::error_code error;
  std::string real = std::filesystem::weakly_canonical(path, error).string();
  if (error) return std::nullopt;
  Mount mount = find(real);
  // In a chroot no line has the root, if it is no mount: what is below none is all in one file system.
  std::string inside = mount.point == "/" ? real : real.substr(mount.point.size());
  return Spot{mount.device, mount.root == "/" ? inside : mount.root + inside};
}

std::string Mounts::lasting_folder(std::string_view folder, std::string_view require_mount,
                                   Lasting lasting) const {
  constexpr int kMostLinks = 40;
  int links = 0;
  std::vector<std::string> todo = components(folder);
  std::string done = "/";
  while (!todo.empty()) {
    std::string part = std::move(todo.back());
    todo.pop_back();
    if (part == "..") {
      done = folder_of(done);
      continue;
    }
    std::string next = done == "/" ? done + part : done + "/" + part;
    Mount mount = find(next);
    if (next == require_mount || (mount.point == next && mount.fitness != Fitness::kFit)) return done;
    std::error_code error;
    const auto status = std::filesystem::symlink_status(next, error);
    if (!std::filesystem::exists(status)) {  // something may yet be mounted where the next folder up is
      lasting = Lasting::kAlways;
      break;
    }
    if (!std::filesystem::is_symlink(status) || ++links > kMostLinks) {
      done = std::move(next);
      continue;
    }
    const std::string target = std::filesystem::read_symlink(next, error).string();
    for (auto& more : components(target)) todo.push_back(std::move(more));
    if (target.starts_with('/')) done = "/";
  }
  std::string above = folder_of(done);
  return lasting == Lasting::kWhileMountsChange || above == "/" ? done : above;
}

std::optional<std::string> Mounts::seen_from(const std::string& folder, const std::string& path) const {
  // The last name is that of the file: not followed, should it be a link.
  std::size_t slash = path.rfind('/');
  auto root = spot_of(folder);
  auto place = spot_of(folder_of(path));
  if (!root || !place || root->device != place->device) return std::nullopt;
  std::string base = root->path == "/" ? "" : root->path;
  if (!base.empty() && place->path != base && !place->path.starts_with(base + "/")) return std::nullopt;
  std::string below = place->path.substr(base.size());
  if (below == "/") below.clear();
  return (folder == "/" ? "" : folder) + below + path.substr(slash);
}

}  // namespace leat
