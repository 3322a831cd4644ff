#include "daemon/leatd/loader.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <exception>
#include <filesystem>
#include <map>
#include <mutex>
#include <system_error>
#include <thread>
#include <utility>

#include "daemon/plan/surroundings.h"

namespace leat::leatd {

namespace fs = std::filesystem;

// Outlives the loader when a thread hangs.
struct Loader::Shared {
  std::mutex mutex;
  std::map<std::string, plan::Plan> read;
  Fd changed;
};

namespace {

constexpr std::size_t kMostFiles = 256;

std::vector<std::string> list(const std::string& folder, std::string& problem) {
  std::vector<std::string> files;
  std::error_code error;
  for (fs::directory_iterator entry(folder, error), end; !error && entry != end; entry.increment(error)) {
    std::string name = entry->path().filename().string();
    bool is_pipeline = !name.starts_with('.') && (name.ends_with(".yaml") || name.ends_with(".yml"));
    if (is_pipeline) files.push_back(entry->path().string());
  }
  if (error) problem = fmt::format("{}: {}", folder, error.message());
  std::sort(files.begin(), files.end());
  if (files.size() > kMostFiles) {
    problem =
        fmt::format("{}: {} pipeline files, and no more than {} are read", folder, files.size(), kMostFiles);
    files.resize(kMostFiles);
  }
  return files;
}

void notify(int event) {
  std::uint64_t one = 1;
  static_cast<void>(::write(event, &one, sizeof one) == 0);
}

plan::Plan unreadable(const std::string& file, std::string why) {
  plan::Plan plan;
  plan.problems.push_back({file, {}, "", std::move(why)});
  return plan;
}

plan::Plan load(const std::string& file) {
  try {
    // Whoever opens a FIFO waits for its other end.
    std::error_code error;
    if (fs::file_status status = fs::status(file, error);
        fs::exists(status) && !fs::is_regular_file(status)) {
      return unreadable(file, "is not a file");
    }
    return plan::load_plan(file);
  } catch (const std::exception& error) {
    return unreadable(file, fmt::format("cannot be read: {}", error.what()));
  }
}

}  // namespace

Loader::Loader(const std::string& folder)
    : shared_(std::make_shared<Shared>()), changed_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
  shared_->changed = Fd(::fcntl(changed_.get(), F_DUPFD_CLOEXEC, 0));
  files_ = list(folder, error_);
  if (files_.empty()) notify(changed_.get());
  for (const std::string& file : files_) {
    auto read = [shared = shared_, file] {
      plan::Plan plan = load(file);
      {
        const std::lock_guard lock(shared->mutex);
        shared->read.emplace(file, std::move(plan));
      }
      notify(shared->changed.get());
    };
    try {
      std::thread(read).detach();
    } catch (const std::system_error& error) {
      const std::lock_guard lock(shared_->mutex);
      shared_->read.emplace(file, unreadable(file, fmt::format("no thread to read it: {}", error.what())));
    }
  }
}

bool Loader::done() const {
  std::uint64_t count = 0;
  static_cast<void>(::read(changed_.get(), &count, sizeof count) == 0);
  const std::lock_guard lock(shared_->mutex);
  return shared_->read.size() == files_.size() || std::chrono::steady_clock::now() - begun_ >= kPatience;
}

std::vector<plan::Candidate> Loader::take() {
  std::vector<plan::Candidate> candidates;
  const std::lock_guard lock(shared_->mutex);
  for (const std::string& file : files_) {
    plan::Candidate candidate{file, {}};
    if (auto found = shared_->read.find(file); found != shared_->read.end()) {
      candidate.plan = std::move(found->second);
    } else {
      candidate.plan = unreadable(file, fmt::format("could not be read within {} s, with the files that it "
                                                    "names: is one of them on a mount that is unavailable?",
                                                    kPatience.count()));
    }
    candidates.push_back(std::move(candidate));
  }
  return candidates;
}

void refuse_what_ends(std::vector<plan::Candidate>& candidates) {
  for (plan::Candidate& candidate : candidates) {
    if (!candidate.plan.problems.empty()) continue;
    std::string text = plan::wrong_with_following("leatd", candidate.plan.pipeline.sink.path);
    if (!text.empty()) candidate.plan.problems.push_back({candidate.file, {}, "sink.path", std::move(text)});
  }
}

}  // namespace leat::leatd
