// Every file system operation, passed on to the folder below: ask the rules, do it, count it, tell the lossy disk.
//
// Paths of libfuse begin with "/"; below they are relative to `root`, an O_PATH descriptor. Nothing is cached by the
// kernel, so every fault is seen at once: attributes and names for 0 s, contents by direct_io. The exception are files
// that end in -shm, which SQLite maps shared; direct_io does not allow that. Locks are the kernel's.
#pragma once

#define FUSE_USE_VERSION 312
#include <fuse.h>
#include <fuse_lowlevel.h>

#include <cstdint>
#include <map>
#include <mutex>
#include <string>

#include "proto/base/fd.h"
#include "tests/faultfs/lossy.h"
#include "tests/faultfs/rules.h"

namespace faultfs {

// An open file or folder; fi->fh points to it.
struct Handle {
  leat::Fd fd;
  std::string path;  // as it was opened
  std::uint64_t opened = 0;
  ino_t inode = 0;
  int flags = 0;
};

// What fuse_new() is given as private data.
struct FileSystem {
  leat::Fd root;
  Rules rules;
  Lossy lossy;
  std::mutex handles_mutex;
  std::map<std::uint64_t, Handle> handles;  // by `opened`; the kernel may leave without releasing all
};

fuse_operations operations();

}  // namespace faultfs
