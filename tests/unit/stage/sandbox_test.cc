#include "workers/stage/sandbox.h"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <functional>
#include <string>

#include "tests/unit/skip.h"

using namespace leat;
using namespace leat::stage;

namespace {

struct Folder {
  std::string path;
  Folder() {
    char name[] = "/tmp/leat-unit-XXXXXX";
    REQUIRE(::mkdtemp(name) != nullptr);
    path = name;
  }
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;
  ~Folder() { std::filesystem::remove_all(path); }
  std::string file(const std::string& name) const {
    std::ofstream(path + "/" + name) << "content";
    return path + "/" + name;
  }
};

// The errno that `attempt` ends with inside of the policy, in a process of its own; 0: it was done.
int inside(const Policy& policy, const std::function<bool()>& attempt) {
  auto sandbox = Sandbox::prepare(policy);
  REQUIRE_MESSAGE(sandbox.has_value(), (sandbox ? "" : sandbox.error().text));
  const pid_t pid = ::fork();
  if (pid == 0) {
    if (sandbox->enter() != 0) ::_exit(255);
    ::_exit(attempt() ? 0 : errno);
  }
  int status = 0;
  ::waitpid(pid, &status, 0);
  REQUIRE(WIFEXITED(status));
  REQUIRE(WEXITSTATUS(status) != 255);
  return WEXITSTATUS(status);
}

bool opens(const std::string& path, int flags) {
  const int fd = ::open(path.c_str(), flags | O_CLOEXEC, 0600);
  if (fd >= 0) ::close(fd);
  return fd >= 0;
}

const bool kLandlock = landlock_abi() > 0;

bool filters_calls() {
  const std::uint32_t action = SECCOMP_RET_ERRNO;
  return ::syscall(SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0, &action) == 0;
}

constexpr const char* kNoLandlock = "no Landlock here";
constexpr const char* kNoFilters = "no filters of system calls here (seccomp)";

}  // namespace

TEST_CASE("a file that no rule names is not opened") {
  if (!filters_calls()) LEAT_SKIP(kNoFilters);
  if (!kLandlock) LEAT_SKIP(kNoLandlock);
  const Folder folder;
  const std::string file = folder.file("a");
  CHECK(inside({}, [&] { return opens(file, O_RDONLY); }) == EACCES);
  CHECK(inside({}, [&] { return opens("/etc/passwd", O_RDONLY); }) == EACCES);
}

TEST_CASE("each right gives what it says and no more") {
  if (!filters_calls()) LEAT_SKIP(kNoFilters);
  if (!kLandlock) LEAT_SKIP(kNoLandlock);
  const Folder folder;
  const std::string file = folder.file("a");
  Policy policy;
  const auto with = [&](unsigned access) {
    policy.paths = {{folder.path, access}};
    return policy;
  };
  CHECK(inside(with(kRead), [&] { return opens(file, O_RDONLY); }) == 0);
  CHECK(inside(with(kRead), [&] { return opens(file, O_WRONLY); }) == EACCES);
  CHECK(inside(with(kRead), [&] { return opens(file + ".new", O_WRONLY | O_CREAT); }) == EACCES);
  CHECK(inside(with(kWrite), [&] { return opens(file, O_WRONLY); }) == 0);
  CHECK(inside(with(kWrite), [&] { return ::unlink(file.c_str()) == 0; }) == EACCES);
  CHECK(inside(with(kWrite | kMake), [&] { return opens(file + ".made", O_WRONLY | O_CREAT); }) == 0);
  CHECK(inside(with(kWrite | kMake), [&] { return ::mknod((file + ".dev").c_str(), S_IFCHR, 0) == 0; }) != 0);
  CHECK(inside(with(kRemove), [&] { return ::unlink((file + ".made").c_str()) == 0; }) == 0);
}

TEST_CASE("an existing file is not emptied without the right to write") {
  if (!filters_calls()) LEAT_SKIP(kNoFilters);
  if (!kLandlock) LEAT_SKIP(kNoLandlock);
  const Folder folder;
  const std::string file = folder.file("a");
  Policy policy;
  policy.paths = {{"/", kRead}};
  CHECK(inside(policy, [&] { return opens(file, O_RDONLY | O_TRUNC); }) != 0);
  CHECK(inside(policy, [&] { return ::truncate(file.c_str(), 0) == 0; }) != 0);
  CHECK(std::filesystem::file_size(file) == 7);
}

TEST_CASE("a rule for a path that does not exist is skipped, one for a file has a file's rights") {
  if (!filters_calls()) LEAT_SKIP(kNoFilters);
  const Folder folder;
  const std::string file = folder.file("a");
  Policy policy;
  policy.paths = {{folder.path + "/nowhere", kRead}, {file, kRead | kChange}};
  CHECK(inside(policy, [&] { return opens(file, O_RDWR); }) == 0);
}

TEST_CASE("a descriptor can be allowed as well") {
  if (!filters_calls()) LEAT_SKIP(kNoFilters);
  const Folder folder;
  const std::string file = folder.file("a");
  const int fd = ::open(file.c_str(), O_RDONLY | O_CLOEXEC);
  auto sandbox = Sandbox::prepare({});
  REQUIRE(sandbox.has_value());
  sandbox->allow(fd, kRead);
  ::close(fd);
  const pid_t pid = ::fork();
  if (pid == 0)
    ::_exit(sandbox->enter() == 0 && opens(file, O_RDONLY) && (!kLandlock || !opens(file, O_WRONLY)) ? 0 : 1);
  int status = 0;
  ::waitpid(pid, &status, 0);
  CHECK(status == 0);
}

TEST_CASE("memory, descriptors, signals and limits of a process outside are out of reach") {
  if (!filters_calls()) LEAT_SKIP(kNoFilters);
  const std::string parent = fmt::format("/proc/{}", ::getpid());
  Policy policy;
  policy.paths = {{"/", kRead | kChange}};
  if (kLandlock) {
    for (const char* name : {"/mem", "/environ", "/root", "/fd/0", "/maps", "/cwd"})
      CHECK(inside(policy, [&] { return opens(parent + name, O_RDONLY); }) == EACCES);
  }
  if (landlock_abi() >= 6) CHECK(inside(policy, [&] { return ::kill(::getppid(), 0) == 0; }) == EPERM);
  CHECK(inside(policy, [] { return ::syscall(SYS_ptrace, 16, ::getppid(), 0, 0) == 0; }) == EPERM);
  CHECK(inside(policy, [] {
          const rlimit none{0, 0};
          return ::prlimit(::getppid(), RLIMIT_NOFILE, &none, nullptr) == 0;
        }) == EPERM);
  CHECK(inside(policy, [] { return ::setpriority(PRIO_PROCESS, static_cast<id_t>(::getppid()), 19) == 0; }) ==
        EPERM);
  CHECK(inside(policy, [] { return ::setpriority(PRIO_USER, 0, 19) == 0; }) == EPERM);
  CHECK(inside(policy, [] {
          const rlimit none{0, 0};
          return ::setrlimit(RLIMIT_CORE, &none) == 0;
        }) == 0);
}

TEST_CASE("only families that are named make sockets, and no pair can be turned to an address") {
  if (!filters_calls()) LEAT_SKIP(kNoFilters);
  Policy policy;
  const auto makes = [&](int family, int type) {
    return inside(policy, [=] { return ::socket(family, type, 0) >= 0; });
  };
  const auto pairs = [&](int type) {
    return inside(policy, [=] {
      int ends[2];
      return ::socketpair(AF_UNIX, type, 0, ends) == 0;
    });
  };
  for (int family : {AF_UNIX, AF_INET, AF_INET6, AF_NETLINK, AF_PACKET, AF_ALG, AF_VSOCK, 63, 64, 1000})
    CHECK(makes(family, SOCK_STREAM) == EPERM);
  CHECK(pairs(SOCK_STREAM) == 0);
  CHECK(pairs(SOCK_DGRAM) == EPERM);
  CHECK(pairs(SOCK_RAW | SOCK_CLOEXEC) == EPERM);
  policy.sockets = {AF_UNIX};
  CHECK(makes(AF_UNIX, SOCK_STREAM) == 0);
  CHECK(makes(AF_INET, SOCK_STREAM) == EPERM);
  CHECK(pairs(SOCK_DGRAM) == 0);
}

TEST_CASE("programs, processes and attributes of files are refused unless the policy allows them") {
  if (!filters_calls()) LEAT_SKIP(kNoFilters);
  const Folder folder;
  const std::string file = folder.file("a");
  const auto runs = [] { return ::execl("/bin/true", "true", nullptr) == 0; };
  const auto forks = [] {
    const pid_t pid = ::fork();
    if (pid == 0) ::_exit(0);
    return pid > 0;
  };
  const auto changes = [&] { return ::chmod(file.c_str(), 0600) == 0; };
  Policy policy;
  policy.paths = {{"/", kRead | kExecute}};
  CHECK(inside(policy, runs) == EPERM);
  CHECK(inside(policy, forks) == EPERM);
  CHECK(inside(policy, changes) == EPERM);
  policy.run_programs = policy.start_processes = policy.change_attributes = true;
  CHECK(inside(policy, runs) == 0);
  CHECK(inside(policy, forks) == 0);
  CHECK(inside(policy, changes) == 0);
  CHECK(inside(policy, [] { return ::syscall(SYS_clone3, nullptr, 0) == 0; }) == ENOSYS);
  CHECK(inside(policy, [] { return ::unshare(CLONE_NEWUSER) == 0; }) == EPERM);
  CHECK(inside(policy, [] { return ::syscall(SYS_clone, CLONE_NEWUSER | SIGCHLD, 0, 0, 0, 0) >= 0; }) ==
        EPERM);
  CHECK(inside(policy, [] { return ::syscall(SYS_io_uring_setup, 1, nullptr) == 0; }) == EPERM);
}

TEST_CASE("a policy in words") {
  Policy policy;
  CHECK(describe(policy).front() == "no files");
  policy.paths = {{"/", kRead | kExecute}, {"/srv/out", kChange}};
  policy.sockets = {AF_INET, AF_INET6};
  const auto lines = describe(policy);
  CHECK(lines[0] == "reads and executes /");
  CHECK(lines[1] == "writes, makes, removes and moves /srv/out");
  CHECK(std::ranges::find(lines, "sockets: IPv4, IPv6") != lines.end());
}
