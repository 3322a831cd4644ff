#include "daemon/supervisor/descriptors.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/magic.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <system_error>
#include <utility>

#include "proto/arena.h"
#include "workers/stage/briefing.h"

namespace leat::supervisor {

using Kind = proto::DescriptorRequestKind;
using Request = proto::DescriptorServer::Request;

namespace {

constexpr int kAtOnce = 64;  // a flood must not keep the rest waiting
constexpr std::size_t kMostArrivals = 64;

Fd pidfd_of_self() {
  Fd self(static_cast<int>(::syscall(SYS_pidfd_open, ::getpid(), 0U)));
  if (!self) throw std::system_error(errno, std::generic_category(), "pidfd_open");
  return self;
}

// Reading anything else could wait.
bool is_smaps_rollup(int fd) {
  struct statfs system {};
  std::error_code error;
  auto name = std::filesystem::read_symlink(fmt::format("/proc/self/fd/{}", fd), error);
  return !error && ::fstatfs(fd, &system) == 0 && system.f_type == PROC_SUPER_MAGIC &&
         name.filename() == "smaps_rollup";
}

}  // namespace

Descriptors::Descriptors(const std::string& runtime, std::string_view briefing)
    : server_(runtime + "/descriptors"),
      briefing_(stage::briefing_file(briefing)),
      digest_(stage::digest(briefing)),
      self_(pidfd_of_self()) {}

void Descriptors::serve(Team& team) {
  for (int i = 0; i < kAtOnce; ++i) {
    auto request = server_.receive();
    if (!request) return;
    if (request->kind == Kind::kJoin) {
      join(*std::move(request));
      continue;
    }
    const Worker* worker = team.running_as(request->pid);
    if (worker == nullptr) continue;
    if (request->kind == Kind::kOffer) {
      offer(*worker, *std::move(request));
    } else if (request->kind == Kind::kBriefing) {
      proto::DescriptorServer::grant(*request, {briefing_.get()});
    } else if (auto found = arenas_.find(request->number); found != arenas_.end()) {
      proto::DescriptorServer::grant(*request, {found->second.memory.get()});
    }
  }
}

void Descriptors::offer(const Worker& worker, Request request) {
  bool has_one = std::any_of(arenas_.begin(), arenas_.end(),
                             [&](const auto& entry) { return entry.second.instance == worker.instance; });
  if (has_one || arenas_.contains(request.number) || request.descriptors.size() != 1 ||
      !proto::Arena::sealed(request.descriptors.front().get())) {
    return;
  }
  arenas_[request.number] = {worker.instance, std::move(request.descriptors.front())};
  proto::DescriptorServer::grant(request);
}

void Descriptors::join(Request request) {
  if (request.descriptors.empty() || request.descriptors.size() > 2) return;
  Arrival arrival{request.number, request.uid, std::move(request.descriptors.front()), {}};
  if (request.descriptors.size() == 2 && is_smaps_rollup(request.descriptors.back().get())) {
    arrival.memory = std::move(request.descriptors.back());
  }
  std::erase_if(arrivals_, [&](const Arrival& other) { return other.number == request.number; });
  arrivals_.push_back(std::move(arrival));
  if (arrivals_.size() > kMostArrivals) arrivals_.pop_front();  // it asks again
  proto::DescriptorServer::grant(request, {self_.get(), briefing_.get()});
}

std::optional<Descriptors::Arrival> Descriptors::take_arrival(const std::string& identity) {
  for (auto arrival = arrivals_.begin(); arrival != arrivals_.end(); ++arrival) {
    if (identity != fmt::format("join-{:x}", arrival->number)) continue;
    Arrival taken = std::move(*arrival);
    arrivals_.erase(arrival);
    return taken;
  }
  return std::nullopt;
}

void Descriptors::forget(std::uint32_t instance) {
  std::erase_if(arenas_, [&](const auto& entry) {
    if (entry.second.instance != instance) return false;
    proto::Arena::mark_gone(entry.second.memory.get());
    return true;
  });
}

void Descriptors::forget_all() {
  for (const auto& [number, arena] : arenas_) proto::Arena::mark_gone(arena.memory.get());
  arenas_.clear();
}

}  // namespace leat::supervisor
