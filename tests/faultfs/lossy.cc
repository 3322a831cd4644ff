#include "tests/faultfs/lossy.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <set>
#include <stdexcept>
#include <system_error>

namespace faultfs {
namespace {

namespace files = std::filesystem;

void need(long long done, const files::path& path) {
  if (done < 0) throw std::system_error(errno, std::generic_category(), path.string());
}

}  // namespace

void Lossy::start(const files::path& backing, bool sync_names) {
  backing_ = files::absolute(backing);
  live_ = backing_ / "live";
  durable_ = backing_ / "durable";
  sync_names_ = sync_names;
  on_ = true;
  files::create_directories(live_);
  root_ = leat::Fd(open(live_.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  begin();
}

void Lossy::stop() {
  if (cut_) restore();
  if (on_) files::remove_all(durable_);
}

// Everything in live/ is durable.
void Lossy::begin() {
  files::remove_all(durable_);
  files::create_directory(durable_);
  nodes_.clear();
  ids_.clear();
  changes_.clear();
  hid_ = false;
  struct stat stat {};
  need(fstatat(root_.get(), ".", &stat, 0), live_);
  top_ = identify(stat, "", true);
  scan(top_, "");
}

void Lossy::scan(Id folder, const std::string& path) {
  std::set<std::string> names;
  for (const auto& entry : files::directory_iterator(live_ / path)) names.insert(entry.path().filename());
  for (const std::string& name : names) {
    const std::string inside = path.empty() ? name : path + "/" + name;
    struct stat stat {};
    need(fstatat(root_.get(), inside.c_str(), &stat, AT_SYMLINK_NOFOLLOW), inside);
    const bool is_new = !ids_.contains(stat.st_ino);
    const Id id = identify(stat, inside.c_str(), is_new);
    nodes_[folder].names[name] = id;
    if (S_ISDIR(stat.st_mode)) scan(id, inside);
    if (S_ISREG(stat.st_mode) && is_new) {
      files::create_hard_link(live_ / inside, blob(id));
      nodes_[id].shared = true;
    }
  }
}

Lossy::Id Lossy::identify(const struct stat& stat, const char* path, bool is_new) {
  Id& id = ids_[stat.st_ino];
  if (id == 0 || is_new) {  // the number of a removed inode is used again
    id = ++last_;
    Node& node = nodes_[id];
    node.mode = stat.st_mode;
    char target[PATH_MAX];
    if (S_ISLNK(stat.st_mode)) {
      const ssize_t length = readlinkat(root_.get(), path, target, sizeof target);
      need(length, path);
      node.target.assign(target, static_cast<std::size_t>(length));
    }
  }
  return id;
}

Lossy::Node* Lossy::find(ino_t inode) {
  const auto found = ids_.find(inode);
  return on_ && found != ids_.end() ? &nodes_[found->second] : nullptr;
}

std::unique_lock<std::mutex> Lossy::change(int& error) {
  if (!on_) return {};
  std::unique_lock lock(mutex_);
  if (countdown_ > 0 && --countdown_ == 0) cut_ = true;
  if (cut_) error = EIO;
  return lock;
}

void Lossy::touch(ino_t inode) {
  Node* node = find(inode);
  if (!node || !node->shared) return;
  const files::path kept = blob(ids_[inode]);
  const files::path copy = kept.string() + ".copy";
  files::copy_file(kept, copy);
  files::rename(copy, kept);
  node->shared = false;
}

void Lossy::wrote(ino_t inode, off_t offset, const char* data, std::size_t size) {
  if (Node* node = find(inode)) node->pieces.push_back({offset, false, std::string(data, size)});
}

void Lossy::sized(ino_t inode, off_t size) {
  if (Node* node = find(inode)) node->pieces.push_back({size, true, {}});
}

void Lossy::named(std::initializer_list<const char*> paths, bool is_new) {
  if (!on_) return;
  Change change;
  bool hides = false;
  for (const std::string path : paths) {
    const auto slash = path.rfind('/');
    const std::string folder = slash == std::string::npos ? "." : path.substr(0, slash);
    const std::string name = slash == std::string::npos ? path : path.substr(slash + 1);
    if (name.starts_with(".fuse_hidden")) {  // unlinked, on a real disk
      hides = true;
      continue;
    }
    struct stat above {
    }, stat{};
    if (fstatat(root_.get(), folder.c_str(), &above, 0) != 0) continue;
    const bool is_there = fstatat(root_.get(), path.c_str(), &stat, AT_SYMLINK_NOFOLLOW) == 0;
    change.push_back(
        {identify(above, folder.c_str(), false), name, is_there ? identify(stat, path.c_str(), is_new) : 0});
  }
  if (change.empty()) return;
  // libfuse hides an open file before another takes its name; that is one change.
  if (hid_ && !changes_.empty() && changes_.back()[0].folder == change.back().folder &&
      changes_.back()[0].name == change.back().name)
    changes_.pop_back();
  changes_.push_back(std::move(change));
  hid_ = hides;
}

// The first `size` bytes of it.
void Lossy::apply(Id id, const Piece& piece, std::size_t size) const {
  const files::path path = blob(id);
  const leat::Fd fd(open(path.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
  need(fd.get(), path);
  if (piece.is_size) need(ftruncate(fd.get(), piece.offset), path);
  for (std::size_t done = 0; done < size;) {
    const ssize_t n =
        pwrite(fd.get(), piece.data.data() + done, size - done, piece.offset + static_cast<off_t>(done));
    need(n, path);
    done += static_cast<std::size_t>(n);
  }
}

void Lossy::settle(Id id, Node& node) {
  for (const Piece& piece : node.pieces) apply(id, piece, piece.data.size());
  node.pieces.clear();
  node.pieces.shrink_to_fit();
}

void Lossy::synced(ino_t inode) {
  if (Node* node = find(inode)) settle(ids_[inode], *node);
  if (!sync_names_) return;
  for (const Change& change : changes_) commit(change);
  changes_.clear();
  hid_ = false;
}

void Lossy::commit(const Change& change) {
  for (const auto& [folder, name, id] : change) {
    if (id != 0)
      nodes_[folder].names[name] = id;
    else
      nodes_[folder].names.erase(name);
  }
}

// Backwards, to find what has to go with it: the changes of this folder, and all before a move into or out of it.
void Lossy::synced_names(ino_t folder) {
  const auto found = ids_.find(folder);
  if (!on_ || found == ids_.end()) return;
  std::vector<bool> taken(changes_.size());
  bool all = sync_names_;
  for (std::size_t i = changes_.size(); i-- > 0;) {
    const Change& change = changes_[i];
    const bool is_here = std::any_of(change.begin(), change.end(),
                                     [&](const Edit& edit) { return edit.folder == found->second; });
    taken[i] = all || is_here;
    all = all || (is_here && is_move(change));
  }
  std::vector<Change> rest;
  for (std::size_t i = 0; i < changes_.size(); ++i) {
    if (taken[i])
      commit(changes_[i]);
    else
      rest.push_back(std::move(changes_[i]));
  }
  changes_ = std::move(rest);
  hid_ = false;
}

void Lossy::fix(struct stat& stat) {
  if (!on_) return;
  std::lock_guard lock(mutex_);
  const Node* node = find(stat.st_ino);
  if (node && node->shared) --stat.st_nlink;
}

void Lossy::cut(Seed seed, std::uint64_t after) {
  if (!on_) throw std::runtime_error("powercut needs --lossy");
  std::lock_guard lock(mutex_);
  if (cut_) throw std::runtime_error("the power is cut already");
  seed_ = seed;
  countdown_ = after;
  cut_ = after == 0;
}

// Each folder keeps as many of its changes as its lot says; a move between folders only when nothing before was lost.
void Lossy::choose_names(std::mt19937_64& random) {
  std::map<Id, std::uint64_t> kept;
  for (const Change& change : changes_)
    for (const Edit& edit : change) ++kept[edit.folder];
  for (auto& [folder, count] : kept) count = random() % (count + 1);
  bool is_lost = false;
  for (const Change& change : changes_) {
    bool keeps = !(is_lost && is_move(change));
    for (const Edit& edit : change) keeps = keeps && kept[edit.folder] > 0;
    for (const Edit& edit : change) {
      std::uint64_t& left = kept[edit.folder];
      left = keeps && left > 0 ? left - 1 : 0;
    }
    if (keeps) commit(change);
    is_lost = is_lost || !keeps;
  }
}

void Lossy::choose_content(std::mt19937_64& random, Id id, const Node& node) const {
  const auto lot = random() % 3;
  if (lot == 1) {
    const std::size_t count = random() % (node.pieces.size() + 1);
    for (std::size_t i = 0; i < count; ++i) apply(id, node.pieces[i], node.pieces[i].data.size());
    if (count < node.pieces.size() && !node.pieces[count].is_size)
      apply(id, node.pieces[count], random() % node.pieces[count].data.size());
  } else if (lot == 2) {
    const off_t before = files::exists(blob(id)) ? static_cast<off_t>(files::file_size(blob(id))) : 0;
    off_t size = before;
    for (const Piece& piece : node.pieces)
      size =
          piece.is_size ? piece.offset : std::max(size, piece.offset + static_cast<off_t>(piece.data.size()));
    if (size > before) apply(id, {size, true, {}}, 0);
  }
}

void Lossy::restore() {
  std::lock_guard lock(mutex_);
  if (!cut_) throw std::runtime_error("the power is not cut");
  for (const auto& entry : files::recursive_directory_iterator(live_)) {
    struct stat stat {};
    need(lstat(entry.path().c_str(), &stat), entry.path());
    if (Node* node = find(stat.st_ino)) node->mode = stat.st_mode;
  }
  if (seed_) {
    std::mt19937_64 random(*seed_);
    choose_names(random);
    for (const auto& [id, node] : nodes_)
      if (!node.pieces.empty()) choose_content(random, id, node);
  }
  // Beside the old tree, whose folder stays: it is the root of the mount.
  const files::path old = backing_ / "old";
  files::create_directory(old);
  for (const auto& entry : files::directory_iterator(live_))
    files::rename(entry.path(), old / entry.path().filename());
  build(top_, live_);
  files::remove_all(old);
  begin();
  countdown_ = 0;
  cut_ = false;
}

void Lossy::build(Id folder, const files::path& path) {
  for (const auto& [name, id] : nodes_[folder].names) {
    const files::path here = path / name;
    const Node& node = nodes_[id];
    if (S_ISDIR(node.mode)) {
      need(mkdir(here.c_str(), node.mode & 07777), here);
      build(id, here);
    } else if (S_ISLNK(node.mode)) {
      files::create_symlink(node.target, here);
    } else if (S_ISREG(node.mode)) {
      if (!files::exists(blob(id))) apply(id, {0, true, {}}, 0);
      if (!node.shared) need(chmod(blob(id).c_str(), node.mode & 07777), here);
      files::create_hard_link(blob(id), here);
    } else {
      need(mknod(here.c_str(), node.mode, 0), here);
    }
  }
}

}  // namespace faultfs
