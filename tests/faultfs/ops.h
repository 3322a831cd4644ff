// Every file system operation, passed on to the folder below: ask the rules, do it, count it, tell the lossy disk.
//
// Paths of libfuse begin with "/"; below they are relative to `root`, an O_PATH descriptor. Nothing is cached by the
// kernel, so every fault is seen at once: attributes and names for 0 s, contents by direct_io. The exception are files
// that end in -shm, which SQLite maps shared; direct_io does not allow that. Locks are the kernel's.
#pragma once

#define FUSE_USE_VERSION 312
#include <fuse.h>
#include <fuse_lowlevel.h>

#include "tests/faultfs/lossy.h"
#include "tests/faultfs/rules.h"
#include "workers/stage/fd.h"

namespace faultfs {

// What fuse_new() is given as private data.
struct FileSystem {
  leat::stage::Fd root;
  Rules rules;
  Lossy lossy;
};

fuse_operations operations();

}  // namespace faultfs
