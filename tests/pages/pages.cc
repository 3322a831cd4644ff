// Preloaded, it makes a kernel of 4 KiB pages refuse what one of larger pages does (a Raspberry Pi 5 has 16 KiB, some ARM
// servers 64 KiB): a mapping that begins inside a page.
//
//   LEAT_PAGES_BYTES=65536    the size to pretend
//   LEAT_PAGES_LOG=FILE       each program that it is loaded into adds its name
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstdlib>
#include <string>

namespace {

long page_bytes() {
  const char* set = std::getenv("LEAT_PAGES_BYTES");
  return set == nullptr ? 4096 : std::strtol(set, nullptr, 10);
}

[[gnu::constructor]] void say_hello() {
  const char* log = std::getenv("LEAT_PAGES_LOG");
  if (log == nullptr) return;
  const std::string name = std::string(program_invocation_short_name) + "\n";
  const int fd = ::open(log, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
  if (fd < 0 || ::write(fd, name.data(), name.size()) < 0) ::abort();
  ::close(fd);
}

}  // namespace

extern "C" {

void* mmap(void* address, size_t size, int protection, int flags, int fd, off_t offset) noexcept {
  if (offset % page_bytes() != 0) {
    errno = EINVAL;
    return MAP_FAILED;
  }
  return reinterpret_cast<void*>(::syscall(SYS_mmap, address, size, protection, flags, fd, offset));
}

void* mmap64(void* address, size_t size, int protection, int flags, int fd, off64_t offset) noexcept {
  return ::mmap(address, size, protection, flags, fd, offset);
}

int getpagesize() noexcept {
  return static_cast<int>(page_bytes());
}

long sysconf(int name) noexcept {
  if (name == _SC_PAGESIZE) return page_bytes();
  static const auto next = reinterpret_cast<long (*)(int)>(::dlsym(RTLD_NEXT, "sysconf"));
  return next(name);
}

}  // extern "C"
