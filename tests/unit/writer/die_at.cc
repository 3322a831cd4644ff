// The calls are those of libc that this program defines itself, so that its libraries find them here.
#include "tests/unit/writer/die_at.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstdio>

namespace {

std::uint64_t calls_left = 0;  // 0: does not die

long changes(long number, auto... arguments) {
  if (calls_left > 0 && --calls_left == 0) ::kill(::getpid(), SIGKILL);
  return ::syscall(number, arguments...);
}

}  // namespace

extern "C" {

ssize_t write(int fd, const void* bytes, size_t size) {
  return changes(SYS_write, fd, bytes, size);
}
ssize_t pwrite(int fd, const void* bytes, size_t size, off_t at) {
  return changes(SYS_pwrite64, fd, bytes, size, at);
}
ssize_t pwrite64(int fd, const void* bytes, size_t size, off64_t at) {
  return changes(SYS_pwrite64, fd, bytes, size, at);
}
int fsync(int fd) {
  return static_cast<int>(changes(SYS_fsync, fd));
}
int fdatasync(int fd) {
  return static_cast<int>(changes(SYS_fdatasync, fd));
}
int ftruncate(int fd, off_t size) noexcept {
  return static_cast<int>(changes(SYS_ftruncate, fd, size));
}
int ftruncate64(int fd, off64_t size) noexcept {
  return static_cast<int>(changes(SYS_ftruncate, fd, size));
}
int rename(const char* from, const char* to) noexcept {
  return static_cast<int>(changes(SYS_renameat2, AT_FDCWD, from, AT_FDCWD, to, 0));
}
int renameat2(int folder, const char* from, int to_folder, const char* to, unsigned flags) noexcept {
  return static_cast<int>(changes(SYS_renameat2, folder, from, to_folder, to, flags));
}
int link(const char* from, const char* to) noexcept {
  return static_cast<int>(changes(SYS_linkat, AT_FDCWD, from, AT_FDCWD, to, 0));
}
int unlink(const char* path) noexcept {
  return static_cast<int>(changes(SYS_unlinkat, AT_FDCWD, path, 0));
}

}  // extern "C"

namespace leat::test {

void die_at(std::uint64_t call) {
  calls_left = call;
}

}  // namespace leat::test
