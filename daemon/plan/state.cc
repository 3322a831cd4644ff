#include "daemon/plan/state.h"

#include <fmt/chrono.h>
#include <fmt/format.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include <ctime>
#include <filesystem>

#include "workers/ledger/state_folder.h"

namespace leat::plan {

namespace {

Result<std::string> name_of(const std::string& pipeline_file) {
  config::Parsed parsed = config::load_pipeline(pipeline_file);
  if (parsed.problems.empty()) return parsed.pipeline.name;
  return tl::unexpected(refused(parsed.problems));
}

}  // namespace

Result<OpenState> open_state(const StateOf& of) {
  std::string name;
  if (!of.pipeline.empty()) {
    name = LEAT_TRY(name_of(of.pipeline));
  }
  std::string folder = of.state.empty() ? ledger::default_state_folder(name) : absolute(of.state);
  auto view = LEAT_TRY(ledger::View::open(folder));
  if (!view) {
    return fail(Fault::kFatal,
                fmt::format("there is no ledger in {}: nothing has been run with this state yet", folder),
                kExitConfig);
  }
  auto owner = LEAT_TRY(view->pipeline());
  if (!name.empty() && owner != name) {
    return fail(Fault::kFatal,
                fmt::format("the ledger in {} is of the pipeline {}, not of {}", folder, owner, name),
                kExitConfig);
  }
  auto file = LEAT_TRY(view->file());
  if (!of.pipeline.empty() && !ledger::belongs_to(file, absolute(of.pipeline))) {
    return fail(Fault::kFatal,
                fmt::format("the state in {} belongs to {}, not to {}", folder, file, of.pipeline),
                kExitConfig);
  }
  return OpenState{std::move(folder), std::move(owner), *std::move(view)};
}

Error refused(const std::vector<config::Problem>& problems) {
  std::string more = problems.size() == 1 ? ""
                                          : fmt::format(" (and {} more: leat check {})", problems.size() - 1,
                                                        problems.front().file);
  return {Fault::kFatal, to_string(problems.front()) + more, kExitConfig};
}

std::string absolute(const std::string& path) {
  std::error_code error;
  std::filesystem::path full = std::filesystem::absolute(path, error);
  std::string text = (error ? std::filesystem::path("/") / path : full).lexically_normal().string();
  if (text.size() > 1 && text.ends_with('/')) text.pop_back();
  return text;
}

std::string new_run_id() {
  // The time may come again (a clock that is set back, a machine without one), and so may the process number (1, in containers).
  std::uint32_t number = 0;
  if (::getrandom(&number, sizeof number, 0) != static_cast<ssize_t>(sizeof number))
    number = static_cast<std::uint32_t>(::getpid());
  return fmt::format("{:%Y%m%dT%H%M%SZ}-{:08x}", fmt::gmtime(std::time(nullptr)), number);
}

bool is_volatile(const std::string& sink_path) {
  // Whatever stdout is: bytes that went into a file there are behind those of somebody else.
  if (sink_path == "/dev/stdout" || sink_path == "/dev/stderr" || sink_path.starts_with("/dev/fd/") ||
      sink_path.starts_with("/proc/self/fd/")) {
    return true;
  }
  struct stat info {};
  if (::stat(sink_path.c_str(), &info) != 0) return false;
  return S_ISFIFO(info.st_mode) || S_ISCHR(info.st_mode) || S_ISBLK(info.st_mode) || S_ISSOCK(info.st_mode);
}

}  // namespace leat::plan
