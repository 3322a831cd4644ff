// A disk that loses what was not fsynced when its power is cut.
//
// The tree in live/ is what everybody sees. Beside it is kept what a power cut would leave: of each file its durable
// content (durable/ID) and, in order, the writes and changes of size since its last fsync; of each folder its durable
// names, and for all folders together the changes of names since. fsync of a file moves its writes to its durable
// content and nothing else; fsync of a folder makes its names durable and nothing else (a file that was created and
// fsynced is lost without it) but for a move between folders, which is never half done and takes all earlier changes of
// names with it. With `sync_names` any fsync makes all names durable, as the journal of ext4 does.
//
// A cut without a seed loses all of the rest. With a seed each folder keeps a random prefix of its changes, and each file
// loses its un-synced writes, keeps a random prefix of them (the last one torn), or keeps its size with NULs in place of
// what was appended, as delayed allocation does.
//
// Un-synced writes are held in memory. Modes, owners and times are not subject to loss.
#pragma once

#include <sys/stat.h>
#include <sys/types.h>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <initializer_list>
#include <map>
#include <mutex>
#include <optional>
#include <random>
#include <string>
#include <unordered_map>
#include <vector>

#include "proto/base/fd.h"

namespace faultfs {

class Lossy {
 public:
  using Seed = std::optional<std::uint64_t>;

  // Off until start(), after which BACKING/live is the disk; what is in it then is durable. Throws filesystem_error.
  void start(const std::filesystem::path& backing, bool sync_names);
  void stop();  // leaves in live/ what there is, after a cut what is left of it
  bool on() const { return on_; }
  bool is_cut() const { return cut_; }

  // Held during a change and while it is told, so that no cut falls between. EIO in `error`: the power is cut.
  std::unique_lock<std::mutex> change(int& error);

  // All below but fix(), cut() and restore(): with change() held. Nothing is done for an inode it does not know.
  void touch(ino_t inode);  // before its content changes
  void wrote(ino_t inode, off_t offset, const char* data, std::size_t size);
  void sized(ino_t inode, off_t size);
  // One change of names that has been made: what is at these paths now is what was meant. `is_new`: by a new inode.
  void named(std::initializer_list<const char*> paths, bool is_new);
  void synced(ino_t inode);
  void synced_names(ino_t folder);

  void fix(struct stat& stat);  // hides the links that this keeps

  // `after`: not now but in place of the so-manieth change from now on.
  void cut(Seed seed, std::uint64_t after);
  void restore();

 private:
  using Id = std::uint64_t;  // of an inode, never used twice; 0: none
  struct Piece {
    off_t offset;  // or the new size
    bool is_size;
    std::string data;
  };
  struct Node {
    mode_t mode;
    std::string target;               // of a symbolic link
    bool shared = false;              // durable/ID is the live file itself
    std::vector<Piece> pieces;        // not yet durable
    std::map<std::string, Id> names;  // of a folder; durable
  };
  struct Edit {
    Id folder;
    std::string name;
    Id id;
  };
  using Change = std::vector<Edit>;  // all or nothing

  static bool is_move(const Change& change) {
    return change.size() > 1 && change[0].folder != change[1].folder;
  }
  Node* find(ino_t inode);
  Id identify(const struct stat& stat, const char* path, bool is_new);
  void scan(Id folder, const std::string& path);
  std::filesystem::path blob(Id id) const { return durable_ / std::to_string(id); }
  void apply(Id id, const Piece& piece, std::size_t size) const;
  void settle(Id id, Node& node);  // its pieces are durable
  void commit(const Change& change);
  void choose_names(std::mt19937_64& random);
  void choose_content(std::mt19937_64& random, Id id, const Node& node) const;
  void build(Id folder, const std::filesystem::path& path);
  void begin();

  std::filesystem::path backing_, live_, durable_;
  leat::Fd root_;
  bool on_ = false, sync_names_ = false;
  std::atomic<bool> cut_ = false;
  std::uint64_t countdown_ = 0;
  Seed seed_;
  std::mutex mutex_;
  Id last_ = 0, top_ = 0;
  std::map<Id, Node> nodes_;
  std::unordered_map<ino_t, Id> ids_;
  std::vector<Change> changes_;  // of names, not yet durable
  bool hid_ = false;             // the last one hid a file that was open
};

}  // namespace faultfs
