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
constexpr const char* kUsage =
    "usage: faultfs BACKING MOUNTPOINT --control SOCKET [--type NAME] [--lossy [--sync-names]]\n";

struct Arguments {
  std::string backing, mountpoint, socket, type = "faultfs";
  bool lossy = false, sync_names = false;
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
    else if (word == "--lossy")
      arguments.lossy = true;
    else if (word == "--sync-names")
      arguments.sync_names = true;
    else if (!word.starts_with("-") && place < 2)
      (place++ == 0 ? arguments.backing : arguments.mountpoint) = word;
    else
      throw std::invalid_argument(word);
  }
  if (place != 2 || arguments.socket.empty()) throw std::invalid_argument("an argument is missing");
  return arguments;
}

std::string command(faultfs::FileSystem& fs, std::string_view name, std::istream& words) {
  if (name == "powercut") {
    faultfs::Lossy::Seed seed;
    std::uint64_t after = 0;
    for (std::string option; words >> option;) {
      if (option.starts_with("seed="))
        seed = std::stoull(option.substr(5));
      else if (option.starts_with("after="))
        after = std::stoull(option.substr(6));
      else
        throw std::runtime_error("powercut takes no " + option);
    }
    fs.lossy.cut(seed, after);
    if (after == 0) fs.rules.cut();
    return "ok";
  }
  if (name != "restore") return fs.rules.command(name, words);
  fs.lossy.restore();
  fs.rules.restore();
  return "ok";
}

int serve(const Arguments& arguments) {
  umask(0);  // the kernel has applied the caller's
  faultfs::FileSystem fs;
  const std::filesystem::path backing = arguments.backing;
  if (arguments.lossy) fs.lossy.start(backing, arguments.sync_names);
  fs.root = leat::Fd(
      open((arguments.lossy ? backing / "live" : backing).c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!fs.root) throw std::runtime_error(arguments.backing + ": " + strerror(errno));
  const fuse_operations operations = faultfs::operations();
  const std::string options = fmt::format("-ofsname=faultfs,subtype={}", arguments.type);
  const char* options_of_mount[] = {"faultfs", options.c_str()};
  fuse_args args = FUSE_ARGS_INIT(2, const_cast<char**>(options_of_mount));
  fuse* fuse = fuse_new(&args, &operations, sizeof operations, &fs);
  fuse_opt_free_args(&args);
  if (!fuse) throw std::runtime_error("fuse_new failed");
  if (fuse_mount(fuse, arguments.mountpoint.c_str()) != 0) throw std::runtime_error("cannot mount");
  fuse_set_signal_handlers(fuse_get_session(fuse));
  {
    faultfs::Control control(arguments.socket, [&](std::string_view name, std::istream& words) {
      return command(fs, name, words);
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
  fs.lossy.stop();
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
