// The state folder: where a pipeline's ledger lives, whose it is right now, and whether it may live there.
#pragma once

#include <optional>
#include <string>
#include <utility>

#include "proto/base/fd.h"
#include "proto/base/result.h"

namespace leat::ledger {

// $STATE_DIRECTORY (the first, should it name several), else $XDG_STATE_HOME/leat/NAME, else ~/.local/state/leat/NAME.
std::string default_state_folder(const std::string& pipeline);
// " --state FOLDER", as a command line in a message needs it; "" where a person's shell has that default.
std::string state_option(const std::string& folder, const std::string& pipeline);

// Makes the folder (0700, with those above it) if it is missing. kFatal, 78: it cannot be made or written, or it lies
// on a network file system (by the type in mountinfo: nfs, nfs4, cifs, smb3, smbfs, 9p, afs, ceph, fuse.sshfs,
// fuse.rclone, fuse.glusterfs, fuse.s3fs ...). `warning` is set for other FUSE file systems.
[[nodiscard]] Result<void> prepare_state_folder(const std::string& folder, std::string& warning);

// The process that has a lock, as it has written itself down; all empty when it has not got that far.
struct Holder {
  std::string pid;
  std::string host;
  std::string since;     // UTC
  std::string pipeline;  // its file
};

// How a run ended of which the ledger knows no end, as it must continue from where the last commit was.
struct Failure {
  std::string run;
  std::string at;  // UTC
  std::string exit_code;
  std::string text;  // one line
};

// One run at a time: held by the supervisor for its life. The file in the folder says who has it (pid, host, since,
// pipeline file) for the run that is refused.
class RunLock {
 public:
  // kFatal, 78: another run has it; the text says which.
  [[nodiscard]] static Result<RunLock> take(const std::string& folder, const std::string& pipeline_file);
  // The process that has it now; nullopt: none. Takes nothing, so it is in no other's way.
  static std::optional<Holder> holder(const std::string& folder);

  // Leaves in the folder how this run has failed, until the next one takes the lock. For people: where it cannot be written
  // the run seems to have been killed.
  void failed(const std::string& run, int exit_code, std::string text);
  static std::optional<Failure> failure(const std::string& folder);

 private:
  explicit RunLock(Fd fd) : fd_(std::move(fd)) {}
  Fd fd_;
};

// One writer at a time: a writer that hangs in a system call is not dead, and the next one waits for it.
class WriterLock {
 public:
  // kRetry: another writer (of a run that was killed, perhaps) has it still; ask again.
  [[nodiscard]] static Result<WriterLock> try_take(const std::string& folder);

 private:
  explicit WriterLock(Fd fd) : fd_(std::move(fd)) {}
  Fd fd_;
};

}  // namespace leat::ledger
