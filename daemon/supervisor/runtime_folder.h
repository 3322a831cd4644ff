// The folder where the sockets and pages of one run live: ROOT/NAME-PID (ROOT/NAME in leatd), gone when the run is over.
#pragma once

#include <cstdint>
#include <stdexcept>
#include <string>
#include <string_view>

#include "proto/base/fd.h"

namespace leat::supervisor {

// Where run folders go, when the user says nothing: $XDG_RUNTIME_DIR/leat, else (as root) /run/leat-run, else
// /tmp/leat-UID. An XDG_RUNTIME_DIR that is not ours (sudo) is passed over.
std::string default_runtime_root();

// The folder cannot be made or must not be used; says which and what to do.
class FolderError : public std::runtime_error {
 public:
  explicit FolderError(const std::string& text, bool full = false) : std::runtime_error(text), full_(full) {}
  bool full() const { return full_; }  // it would do with more room

 private:
  bool full_;
};

class RuntimeFolder {
 public:
  enum class Kind : std::uint8_t {
    kDefault,  // default_runtime_root(): must be ours alone
    kChosen,   // the user named the root: a symlink and other modes are the user's business
    kFixed,    // as chosen, and the folder is ROOT/NAME; what a run of before has left in it is removed
  };
  // Creates `root` (0700; one level) and `root`/`name`-PID with a locked file in it. Before that, folders of
  // runs that have died, known by a lock that is free, are removed. Throws FolderError when the root
  // is not a folder of ours, the folder cannot be made, or (kFixed) another process has it.
  RuntimeFolder(const std::string& root, std::string_view name, Kind kind);
  RuntimeFolder(const RuntimeFolder&) = delete;
  RuntimeFolder& operator=(const RuntimeFolder&) = delete;
  ~RuntimeFolder();

  const std::string& path() const { return path_; }

 private:
  std::string path_;
  Fd lock_;
};

}  // namespace leat::supervisor
