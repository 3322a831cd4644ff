// Landlock lists what is allowed and knows files, TCP, signals and other processes; seccomp lists what is refused and
// knows system calls and their numbers, but no paths. So each closes what the other cannot see: Landlock does not know
// chmod, sockets of AF_UNIX by path, limits of other processes, or a way around files such as io_uring.
//
// System calls are refused with EPERM, not by death: programs have fallbacks, and a record should not die of a probe.
// clone3 and openat2 keep their arguments in memory, which a filter cannot read: they do not exist (ENOSYS), and
// libraries use clone and openat.
#include "workers/stage/sandbox.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/landlock.h>
#include <linux/seccomp.h>
#include <linux/sockios.h>
#include <sched.h>
#include <seccomp.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <string_view>
#include <utility>

namespace leat::stage {
namespace {

// linux/landlock.h of Debian 12 ends at ABI 2.
struct RulesetAttributes {
  std::uint64_t handled_access_fs;
  std::uint64_t handled_access_net;  // ABI 4
  std::uint64_t scoped;              // ABI 6
};
constexpr std::uint64_t kTruncate = 1ULL << 14;  // ABI 3
constexpr std::uint64_t kIoctlDev = 1ULL << 15;  // ABI 5
constexpr std::uint64_t kNetTcp = 3;             // bind, connect
constexpr std::uint64_t kScopes = 3;             // abstract sockets, signals

constexpr std::uint64_t kFileRights =
    LANDLOCK_ACCESS_FS_EXECUTE | LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_READ_FILE | kTruncate;
constexpr std::uint64_t kMakeRights = LANDLOCK_ACCESS_FS_MAKE_DIR | LANDLOCK_ACCESS_FS_MAKE_REG |
                                      LANDLOCK_ACCESS_FS_MAKE_SOCK | LANDLOCK_ACCESS_FS_MAKE_FIFO |
                                      LANDLOCK_ACCESS_FS_MAKE_SYM;

std::uint64_t handled_rights(int abi) {
  std::uint64_t rights = (LANDLOCK_ACCESS_FS_MAKE_SYM << 1) - 1;
  if (abi >= 2) rights |= LANDLOCK_ACCESS_FS_REFER;
  if (abi >= 3) rights |= kTruncate;
  if (abi >= 5) rights |= kIoctlDev;
  return rights;
}

std::uint64_t rights_of(unsigned access) {
  std::uint64_t rights = 0;
  if (access & kRead) rights |= LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR;
  if (access & kExecute) rights |= LANDLOCK_ACCESS_FS_EXECUTE;
  if (access & kWrite) rights |= LANDLOCK_ACCESS_FS_WRITE_FILE | kTruncate;
  if (access & kMake) rights |= kMakeRights;
  if (access & kRemove) rights |= LANDLOCK_ACCESS_FS_REMOVE_FILE | LANDLOCK_ACCESS_FS_REMOVE_DIR;
  if (access & kMove) rights |= LANDLOCK_ACCESS_FS_REFER;
  return rights;
}

// 0 or an errno. What is no file of a file system (EBADFD: a pipe) needs no rule.
int add_rule(int ruleset, int fd, unsigned access) {
  struct stat status {};
  if (::fstat(fd, &status) != 0) return errno;
  std::uint64_t rights = rights_of(access) & handled_rights(landlock_abi());
  if (!S_ISDIR(status.st_mode)) rights &= kFileRights;
  if (rights == 0) return 0;
  landlock_path_beneath_attr rule{};
  rule.allowed_access = rights;
  rule.parent_fd = fd;
  if (::syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH, &rule, 0) == 0) return 0;
  return errno == EBADFD ? 0 : errno;
}

Result<Fd> make_ruleset(const Policy& policy) {
  const int abi = landlock_abi();
  if (abi == 0) return Fd();
  RulesetAttributes attributes{handled_rights(abi), 0, 0};
  std::size_t size = sizeof attributes.handled_access_fs;
  if (abi >= 4) {
    attributes.handled_access_net = policy.tcp ? 0 : kNetTcp;
    size += sizeof attributes.handled_access_net;
  }
  if (abi >= 6) {
    attributes.scoped = kScopes;
    size += sizeof attributes.scoped;
  }
  Fd ruleset(static_cast<int>(::syscall(SYS_landlock_create_ruleset, &attributes, size, 0)));
  if (!ruleset) return fail(Fault::kRetry, fmt::format("sandbox: Landlock: {}", std::strerror(errno)));
  for (const auto& [path, access] : policy.paths) {
    Fd at(::open(path.c_str(), O_PATH | O_CLOEXEC));
    if (!at && (errno == ENOENT || errno == ENOTDIR)) continue;
    const int error = at ? add_rule(ruleset.get(), at.get(), access) : errno;
    if (error != 0) return fail(Fault::kRetry, fmt::format("sandbox: {}: {}", path, std::strerror(error)));
  }
  return ruleset;
}

// Ways out of a sandbox or into other processes, and parts of the kernel that records do not need.
constexpr const char* kAlwaysRefused[] = {
    // other processes
    "ptrace", "process_vm_readv", "process_vm_writev", "process_madvise", "process_mrelease", "kcmp",
    "pidfd_getfd", "migrate_pages", "move_pages",
    // namespaces, mounts, roots, files by handle
    "unshare", "setns", "mount", "umount2", "pivot_root", "chroot", "fsopen", "fsconfig", "fsmount", "fspick",
    "open_tree", "move_mount", "mount_setattr", "open_by_handle_at", "name_to_handle_at", "fanotify_init",
    // around this filter, or large and rarely needed
    "io_uring_setup", "io_uring_enter", "io_uring_register", "bpf", "perf_event_open", "userfaultfd",
    // what outlives its process
    "keyctl", "add_key", "request_key", "shmget", "semget", "msgget", "mq_open",
    // the machine
    "init_module", "finit_module", "delete_module", "kexec_load", "kexec_file_load", "reboot", "swapon",
    "swapoff", "acct", "quotactl", "quotactl_fd", "settimeofday", "clock_settime", "clock_adjtime",
    "adjtimex", "sethostname", "setdomainname", "iopl", "ioperm", "syslog", "vhangup", "lookup_dcookie"};

constexpr const char* kAttributes[] = {
    "chmod",      "fchmod",        "fchmodat",    "fchmodat2",   "chown",        "fchown",
    "lchown",     "fchownat",      "utime",       "utimes",      "futimesat",    "utimensat",
    "setxattr",   "lsetxattr",     "fsetxattr",   "removexattr", "lremovexattr", "fremovexattr",
    "setxattrat", "removexattrat", "file_setattr"};

constexpr std::uint64_t kNamespaces =
    CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNET;

class Filter {
 public:
  Filter() : context_(seccomp_init(SCMP_ACT_ALLOW)) {
    if (!context_) return;
    seccomp_attr_set(context_.get(), SCMP_FLTATR_ACT_BADARCH, kRefuse);
    seccomp_attr_set(context_.get(), SCMP_FLTATR_CTL_OPTIMIZE, 2);
  }

  void refuse(const char* call) { add(kRefuse, call, {}); }
  void hide(const char* call) { add(SCMP_ACT_ERRNO(ENOSYS), call, {}); }
  void refuse(const char* call, std::initializer_list<scmp_arg_cmp> when) { add(kRefuse, call, when); }
  void refuse_bits(const char* call, unsigned argument, std::uint64_t mask) {  // when any of them is set
    for (std::uint64_t bit = 1; bit != 0 && bit <= mask; bit <<= 1) {
      if (mask & bit) refuse(call, {scmp_arg_cmp{argument, SCMP_CMP_MASKED_EQ, bit, bit}});
    }
  }

  Result<std::vector<sock_filter>> compile() {
    Fd memory(::memfd_create("leat-seccomp", MFD_CLOEXEC));
    if (!context_ || failed_ != 0 || !memory || seccomp_export_bpf(context_.get(), memory.get()) != 0)
      return fail(Fault::kRetry, fmt::format("sandbox: seccomp: cannot make the filter ({})", failed_));
    const off_t size = ::lseek(memory.get(), 0, SEEK_END);
    std::vector<sock_filter> program(static_cast<std::size_t>(size) / sizeof(sock_filter));
    if (::pread(memory.get(), program.data(), static_cast<std::size_t>(size), 0) != size)
      return fail(Fault::kRetry, fmt::format("sandbox: seccomp: {}", std::strerror(errno)));
    return program;
  }

 private:
  static constexpr std::uint32_t kRefuse = SCMP_ACT_ERRNO(EPERM);

  // A call that this machine or this libseccomp does not know cannot be refused by name, and need not be.
  void add(std::uint32_t action, const char* call, std::initializer_list<scmp_arg_cmp> when) {
    const int number = context_ ? seccomp_syscall_resolve_name(call) : __NR_SCMP_ERROR;
    if (number == __NR_SCMP_ERROR) return;
    const int result =
        seccomp_rule_add_array(context_.get(), action, number, static_cast<unsigned>(when.size()),
                               when.size() == 0 ? nullptr : when.begin());
    if (result != 0 && result != -EDOM && result != -EEXIST) failed_ = result;
  }

  struct Release {
    void operator()(void* context) const { seccomp_release(context); }
  };
  std::unique_ptr<void, Release> context_;
  int failed_ = 0;
};

void refuse_sockets(Filter& filter, const std::vector<int>& allowed) {
  // Families are 0 to 45 today; a filter cannot say "not one of these" in one rule.
  constexpr std::uint64_t kFamilies = 64;
  for (std::uint64_t family = 0; family < kFamilies; ++family) {
    if (std::ranges::find(allowed, static_cast<int>(family)) == allowed.end())
      filter.refuse("socket", {scmp_arg_cmp{0, SCMP_CMP_MASKED_EQ, 0xffffffffU, family}});
  }
  filter.refuse("socket", {scmp_arg_cmp{0, SCMP_CMP_GE, kFamilies, 0}});
  if (std::ranges::find(allowed, AF_UNIX) != allowed.end()) return;
  // One end of a pair of datagram sockets can be connected to another address. SOCK_RAW is the same there.
  for (std::uint64_t type : {SOCK_DGRAM, SOCK_RAW})
    filter.refuse("socketpair", {scmp_arg_cmp{1, SCMP_CMP_MASKED_EQ, 0xf, type}});
}

// Limits, priorities and cores of other processes of the user. A thread may be named when nothing can come of it:
// libzmq sets the scheduling of its threads to what it is, and aborts if it may not.
void refuse_other_processes(Filter& filter) {
  const auto not_zero = [](unsigned argument) { return scmp_arg_cmp{argument, SCMP_CMP_NE, 0, 0}; };
  filter.refuse("prlimit64", {not_zero(0), not_zero(2)});
  filter.refuse("sched_setscheduler", {not_zero(0), not_zero(1)});
  for (const char* call : {"sched_setattr", "sched_setaffinity"}) filter.refuse(call, {not_zero(0)});
  for (const char* call : {"setpriority", "ioprio_set"}) filter.refuse(call, {not_zero(1)});
  filter.refuse("setpriority", {scmp_arg_cmp{0, SCMP_CMP_EQ, PRIO_USER, 0}});
  constexpr std::uint64_t kIoPrioWhoUser = 3;
  filter.refuse("ioprio_set", {scmp_arg_cmp{0, SCMP_CMP_EQ, kIoPrioWhoUser, 0}});
}

Result<std::vector<sock_filter>> make_filter(const Policy& policy) {
  Filter filter;
  for (const char* call : kAlwaysRefused) filter.refuse(call);
  filter.hide("clone3");
  filter.refuse_bits("clone", 0, kNamespaces);
  refuse_other_processes(filter);
  // Typing into a terminal.
  for (int request : {TIOCSTI, TIOCLINUX})
    filter.refuse("ioctl",
                  {scmp_arg_cmp{1, SCMP_CMP_MASKED_EQ, 0xffffffffU, static_cast<std::uint64_t>(request)}});
  if (landlock_abi() <
      3) {  // it does not know truncation: without the right to write this would empty a file
    for (const char* call : {"truncate", "truncate64"}) filter.refuse(call);
    constexpr std::uint64_t kMask = O_TRUNC | O_ACCMODE;
    filter.refuse("open", {scmp_arg_cmp{1, SCMP_CMP_MASKED_EQ, kMask, O_TRUNC}});
    filter.refuse("openat", {scmp_arg_cmp{2, SCMP_CMP_MASKED_EQ, kMask, O_TRUNC}});
    filter.hide("openat2");
  }
  if (landlock_abi() < 6) {  // it does not know signals, and these send them
    for (int command : {F_SETOWN, F_SETOWN_EX})
      filter.refuse("fcntl",
                    {scmp_arg_cmp{1, SCMP_CMP_MASKED_EQ, 0xffffffffU, static_cast<std::uint64_t>(command)}});
    for (int request : {FIOSETOWN, SIOCSPGRP})
      filter.refuse("ioctl",
                    {scmp_arg_cmp{1, SCMP_CMP_MASKED_EQ, 0xffffffffU, static_cast<std::uint64_t>(request)}});
  }
  if (!policy.run_programs) {
    for (const char* call : {"execve", "execveat"}) filter.refuse(call);
  }
  if (!policy.start_processes) {
    for (const char* call : {"fork", "vfork"}) filter.refuse(call);
    filter.refuse("clone", {scmp_arg_cmp{0, SCMP_CMP_MASKED_EQ, CLONE_THREAD, 0}});
  }
  if (!policy.change_attributes) {
    for (const char* call : kAttributes) filter.refuse(call);
  }
  refuse_sockets(filter, policy.sockets);
  return filter.compile();
}

// Best effort: one that has none to drop may not say which it could have.
void drop_capabilities(std::uint64_t keep) noexcept {
  for (unsigned long capability = 0; capability < 64; ++capability) {
    if ((keep >> capability & 1) == 0 && ::prctl(PR_CAPBSET_READ, capability) == 1)
      ::prctl(PR_CAPBSET_DROP, capability);
  }
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  __user_cap_data_struct data[2] = {};
  if (::syscall(SYS_capget, &header, data) != 0) return;
  for (unsigned i = 0; i < 2; ++i) {
    const auto kept = static_cast<std::uint32_t>(keep >> (32 * i));
    data[i] = {data[i].effective & kept, data[i].permitted & kept, 0};
  }
  ::syscall(SYS_capset, &header, data);
}

std::string in_words(unsigned access) {
  std::vector<std::string_view> words;
  if (access & kRead) words.emplace_back("reads");
  if (access & kExecute) words.emplace_back("executes");
  if (access & kWrite) words.emplace_back("writes");
  if (access & kMake) words.emplace_back("makes");
  if (access & kRemove) words.emplace_back("removes");
  if (access & kMove) words.emplace_back("moves");
  std::string text = fmt::format("{}", fmt::join(words, ", "));
  if (const std::size_t comma = text.rfind(','); comma != std::string::npos) text.replace(comma, 1, " and");
  return text;
}

std::string family_in_words(int family) {
  switch (family) {
    case AF_UNIX:
      return "UNIX sockets";
    case AF_INET:
      return "IPv4";
    case AF_INET6:
      return "IPv6";
    case AF_NETLINK:
      return "addresses and routes of this machine";
    default:
      return fmt::format("sockets of family {}", family);
  }
}

}  // namespace

bool sandbox_is_off() {
  const char* value = std::getenv("LEAT_SANDBOX");
  return value != nullptr && std::string_view(value) == "off";
}

int landlock_abi() {
  static const long kAbi =
      ::syscall(SYS_landlock_create_ruleset, nullptr, 0, LANDLOCK_CREATE_RULESET_VERSION);
  return static_cast<int>(std::clamp(kAbi, 0L, 7L));
}

std::string sandbox_gaps() {
  const int abi = landlock_abi();
  if (abi == 0)
    return "no Landlock (the kernel is older than 5.13, or has it off, or a container forbids it): files and "
           "memory of other processes stay open";
  if (abi < 6)
    return fmt::format(
        "this kernel's Landlock is version {}: signals to other processes stay possible (6, Linux 6.12)",
        abi);
  return "";
}

std::vector<std::string> describe(const Policy& policy) {
  std::vector<std::string> lines;
  for (const auto& [path, access] : policy.paths) {
    std::string line = fmt::format("{} {}", in_words(access), path);
    if (std::find(lines.begin(), lines.end(), line) == lines.end()) lines.push_back(std::move(line));
  }
  if (policy.paths.empty()) lines.emplace_back("no files");
  lines.emplace_back(!policy.start_processes ? "starts no processes"
                     : !policy.run_programs  ? "executes no programs"
                                             : "starts programs");
  std::vector<std::string> sockets;
  for (int family : policy.sockets) sockets.push_back(family_in_words(family));
  lines.push_back(sockets.empty() ? "no sockets" : fmt::format("sockets: {}", fmt::join(sockets, ", ")));
  if (!policy.change_attributes) lines.emplace_back("changes no owner, mode, time or attribute of a file");
  lines.emplace_back("no signal, memory, descriptor or limit of a process outside");
  return lines;
}

Sandbox::Sandbox() = default;
Sandbox::Sandbox(Sandbox&&) noexcept = default;
Sandbox& Sandbox::operator=(Sandbox&&) noexcept = default;
Sandbox::~Sandbox() = default;

Result<Sandbox> Sandbox::prepare(const Policy& policy) {
  Sandbox sandbox;
  auto ruleset = make_ruleset(policy);
  if (!ruleset) return tl::unexpected(ruleset.error());
  sandbox.ruleset_ = *std::move(ruleset);
  auto filter = make_filter(policy);
  if (!filter) return tl::unexpected(filter.error());
  sandbox.filter_ = *std::move(filter);
  sandbox.keep_capabilities_ = policy.keep_capabilities;
  return sandbox;
}

void Sandbox::allow(int fd, unsigned access) {
  if (ruleset_) add_rule(ruleset_.get(), fd, access);
}

int Sandbox::enter(bool all_threads) const noexcept {
  if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return errno;
  if (ruleset_ && ::syscall(SYS_landlock_restrict_self, ruleset_.get(), 0) != 0) return errno;
  drop_capabilities(keep_capabilities_);
  sock_fprog program{static_cast<unsigned short>(filter_.size()), const_cast<sock_filter*>(filter_.data())};
  const unsigned long flags = all_threads ? SECCOMP_FILTER_FLAG_TSYNC : 0;
  const long result = ::syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, &program);
  if (result > 0) return EBUSY;  // a thread with another filter
  return result < 0 ? errno : 0;
}

}  // namespace leat::stage
