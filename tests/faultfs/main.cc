// faultfs: a file system for the tests that passes everything on to a folder, and fails as it is told.
//
// Reads   the folder BACKING (with --lossy: BACKING/live); commands from the control socket, as README.md lists them
// Writes  the same folder (with --lossy also BACKING/durable); "ready" to stdout when it is mounted
// Never   touches anything else; runs in the background
// Fails   cannot mount, bad argument: exits 74 or 64 with the reason. SIGTERM, or an unmount: exits 0
// Gaps    fstat of a stale file works, as libfuse does not say which file is meant; extended attributes are not passed on

#include <fcntl.h>
#include <fmt/format.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <exception>
#include <stdexcept>
#include <string>

#include "tests/faultfs/control.h"
#include "tests/faultfs/ops.h"

namespace {

constexpr unsigned kThreads = 200;  // as many operations may hang at a time
constexpr const char* kUsage = "usage: faultfs BACKING MOUNTPOINT --control SOCKET [--type NAME]\n";

struct Arguments {
  std::string backing, mountpoint, socket, type = "faultfs";
};

// Throws std::invalid_argument.
Arguments parse(int argc, char** argv) {
  Arguments arguments;
  int place = 0;
  for (int i = 1; i < argc; ++i) {
    const std::string word = argv[i];
    if (word == "--control" && i + 1 < argc)
      arguments.socket = argv[++i];
    else if (word == "--type" && i + 1 < argc)
      arguments.type = argv[++i];
    else if (!word.starts_with("-") && place < 2)
      (place++ == 0 ? arguments.backing : arguments.mountpoint) = word;
    else
      throw std::invalid_argument(word);
  }
  if (place != 2 || arguments.socket.empty()) throw std::invalid_argument("an argument is missing");
  return arguments;
}

int serve(const Arguments& arguments) {
  umask(0);  // the kernel has applied the caller's
  faultfs::FileSystem fs;
  fs.root = leat::stage::Fd(open(arguments.backing.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!fs.root) throw std::runtime_error(arguments.backing + ": " + strerror(errno));
  const fuse_operations operations = faultfs::operations();
  const std::string options = fmt::format("-ofsname=faultfs,subtype={}", arguments.type);
  const char* words[] = {"faultfs", options.c_str()};
  fuse_args args = FUSE_ARGS_INIT(2, const_cast<char**>(words));
  fuse* fuse = fuse_new(&args, &operations, sizeof operations, &fs);
  if (!fuse) throw std::runtime_error("fuse_new failed");
  if (fuse_mount(fuse, arguments.mountpoint.c_str()) != 0) throw std::runtime_error("cannot mount");
  fuse_set_signal_handlers(fuse_get_session(fuse));
  {
    faultfs::Control control(arguments.socket, [&](std::string_view name, std::istream& more) {
      return fs.rules.command(name, more);
    });
    fuse_loop_config* config = fuse_loop_cfg_create();
    fuse_loop_cfg_set_max_threads(config, kThreads);
    puts("ready");
    fflush(stdout);
    fuse_loop_mt(fuse, config);
    fuse_loop_cfg_destroy(config);
  }
  fuse_remove_signal_handlers(fuse_get_session(fuse));
  fuse_unmount(fuse);
  fuse_destroy(fuse);
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  try {
    return serve(parse(argc, argv));
  } catch (const std::invalid_argument& error) {
    fmt::print(stderr, "faultfs: {}\n{}", error.what(), kUsage);
    return 64;
  } catch (const std::exception& error) {
    fmt::print(stderr, "faultfs: {}\n", error.what());
    return 74;
  }
}
