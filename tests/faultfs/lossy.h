// A disk that loses what was not fsynced when its power is cut.
#pragma once

#include <sys/stat.h>
#include <sys/types.h>

#include <cstddef>
#include <initializer_list>
#include <mutex>

namespace faultfs {

class Lossy {
 public:
  bool on() const { return false; }
  std::unique_lock<std::mutex> change(int&) { return {}; }
  void touch(ino_t) {}
  void wrote(ino_t, off_t, const char*, std::size_t) {}
  void sized(ino_t, off_t) {}
  void named(std::initializer_list<const char*>, bool) {}
  void synced(ino_t) {}
  void synced_names(ino_t) {}
  void fix(struct stat&) {}
};

}  // namespace faultfs
