// The calls are those of libc that this program defines itself, so that its libraries find them here.
#include "tests/unit/writer/die_at.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>

namespace {

using leat::test::CallFate;

std::uint64_t calls_left = 0;  // 0: does not die
leat::test::OnCall ask = nullptr;

long pass(const char* what, int fd, const char* path, long number, auto... arguments) {
  CallFate fate = ask == nullptr ? CallFate::kPass : ask(what, fd, path);
  if (fate == CallFate::kPass) return ::syscall(number, arguments...);
  errno = EIO;
  return fate == CallFate::kDone ? 0 : -1;
}

long changes(const char* what, int fd, const char* path, long number, auto... arguments) {
  if (calls_left > 0 && --calls_left == 0) ::kill(::getpid(), SIGKILL);
  return pass(what, fd, path, number, arguments...);
}

}  // namespace

extern "C" {

ssize_t write(int fd, const void* bytes, size_t size) {
  return changes("write", fd, nullptr, SYS_write, fd, bytes, size);
}
ssize_t pwrite(int fd, const void* bytes, size_t size, off_t at) {
  return changes("write", fd, nullptr, SYS_pwrite64, fd, bytes, size, at);
}
ssize_t pwrite64(int fd, const void* bytes, size_t size, off64_t at) {
  return changes("write", fd, nullptr, SYS_pwrite64, fd, bytes, size, at);
}
ssize_t pread(int fd, void* bytes, size_t size, off_t at) {
  return pass("read", fd, nullptr, SYS_pread64, fd, bytes, size, at);
}
ssize_t pread64(int fd, void* bytes, size_t size, off64_t at) {
  return pass("read", fd, nullptr, SYS_pread64, fd, bytes, size, at);
}
int fsync(int fd) {
  return static_cast<int>(changes("sync", fd, nullptr, SYS_fsync, fd));
}
int fdatasync(int fd) {
  return static_cast<int>(changes("sync", fd, nullptr, SYS_fdatasync, fd));
}
int ftruncate(int fd, off_t size) noexcept {
  return static_cast<int>(changes("cut", fd, nullptr, SYS_ftruncate, fd, size));
}
int ftruncate64(int fd, off64_t size) noexcept {
  return static_cast<int>(changes("cut", fd, nullptr, SYS_ftruncate, fd, size));
}
int rename(const char* from, const char* to) noexcept {
  return static_cast<int>(changes("name", -1, to, SYS_renameat2, AT_FDCWD, from, AT_FDCWD, to, 0));
}
int renameat2(int folder, const char* from, int to_folder, const char* to, unsigned flags) noexcept {
  return static_cast<int>(changes("name", -1, to, SYS_renameat2, folder, from, to_folder, to, flags));
}
int link(const char* from, const char* to) noexcept {
  return static_cast<int>(changes("name", -1, to, SYS_linkat, AT_FDCWD, from, AT_FDCWD, to, 0));
}
int unlink(const char* path) noexcept {
  return static_cast<int>(changes("remove", -1, path, SYS_unlinkat, AT_FDCWD, path, 0));
}

}  // extern "C"

namespace leat::test {

void die_at(std::uint64_t call) {
  calls_left = call;
}

void on_call(OnCall asked) {
  ask = asked;
}

}  // namespace leat::test
