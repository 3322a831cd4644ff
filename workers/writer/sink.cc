#include "workers/writer/sink.h"

#include <fmt/format.h>
#include <sys/stat.h>

#include <cstring>
#include <utility>

#include "workers/writer/file.h"

namespace leat::writer {

namespace {

constexpr std::uint64_t kAllSources = 0;

}  // namespace

Sink::Sink(config::Sink config, const std::vector<std::string>& globs, bool force, WallClock wall_clock)
    : config_(std::move(config)),
      target_(config_.path, globs),
      options_{config_.compression, config_.level, config_.threads, force},
      wall_clock_(std::move(wall_clock)) {}

Result<void> Sink::check_start() {
  if (!config_.require_mount.empty()) {
    if (auto mounted = check_mount(config_.require_mount); !mounted) return mounted;
  }
  if (target_.per_source()) return check_folder(target_.fixed_folder());
  return open(streams_[kAllSources]);
}

Result<void> Sink::source_opened(std::uint64_t id, const std::string& path) {
  LEAT_CHECK(id != kAllSources, path);
  if (!target_.per_source()) return {};
  auto [at, fresh] = streams_.try_emplace(id);
  LEAT_CHECK(fresh, fmt::format("source {} opened twice: {}", id, path));
  at->second.source = path;
  return open(at->second);
}

Result<void> Sink::write(std::uint64_t id, std::string_view records) {
  Stream& stream = stream_of(id);
  while (!records.empty()) {
    if (!stream.output) {
      if (auto opened = open(stream); !opened) return opened;
    }
    std::size_t count = room(stream, records);
    if (count > 0) {
      stream.active = true;
      if (auto written = stream.output->write(records.substr(0, count)); !written) return written;
      records.remove_prefix(count);
    }
    if (!records.empty()) {
      if (auto published = publish(stream); !published) return published;
    }
  }
  return {};
}

// How many bytes of records, whole lines, go into the open output before the next one is due. A record
// that is larger than rotate.bytes gets an output of its own.
std::size_t Sink::room(const Stream& stream, std::string_view records) const {
  std::uint64_t used = stream.output->record_bytes();
  if (config_.rotate.bytes == 0 || records.size() + used <= config_.rotate.bytes) return records.size();
  std::size_t room = used < config_.rotate.bytes ? static_cast<std::size_t>(config_.rotate.bytes - used) : 0;
  const void* last = ::memrchr(records.data(), '\n', room);
  if (last != nullptr) return static_cast<std::size_t>(static_cast<const char*>(last) - records.data()) + 1;
  if (used > 0) return 0;
  std::size_t first = records.find('\n');
  return first == std::string_view::npos ? records.size() : first + 1;
}

Result<void> Sink::source_ended(std::uint64_t id) {
  if (!target_.per_source()) return {};
  auto published = publish(stream_of(id));
  streams_.erase(id);
  return published;
}

Result<void> Sink::tick(Clock::time_point now) {
  if (config_.rotate.idle.count() == 0) return {};
  for (auto& [id, stream] : streams_) {
    if (!stream.output || stream.output->record_bytes() == 0)
      continue;  // an empty one stays for its first record
    if (std::exchange(stream.active, false)) {
      stream.idle_since = now;
    } else if (now - stream.idle_since >= config_.rotate.idle) {
      if (auto published = publish(stream); !published) return published;
    }
  }
  return {};
}

Result<std::uint64_t> Sink::commit() {
  std::uint64_t bytes = 0;
  for (auto& [id, stream] : streams_) {
    if (!stream.output) continue;
    auto committed = stream.output->commit();
    if (!committed) return committed;
    bytes += *committed;
  }
  return bytes;
}

Result<void> Sink::finish() {
  for (auto& [id, stream] : streams_) {
    if (auto published = publish(stream); !published) return published;
  }
  streams_.clear();
  return {};
}

std::uint64_t Sink::uncommitted_bytes() const {
  std::uint64_t bytes = 0;
  for (const auto& [id, stream] : streams_) bytes += stream.output ? stream.output->uncommitted_bytes() : 0;
  return bytes;
}

std::size_t Sink::memory() const {
  std::size_t bytes = 0;
  for (const auto& [id, stream] : streams_) bytes += stream.output ? stream.output->memory() : 0;
  return bytes;
}

std::size_t Sink::open_outputs() const {
  std::size_t count = 0;
  for (const auto& [id, stream] : streams_) count += stream.output ? 1 : 0;
  return count;
}

Sink::Stream& Sink::stream_of(std::uint64_t id) {
  auto at = streams_.find(target_.per_source() ? id : kAllSources);
  LEAT_CHECK(at != streams_.end(), fmt::format("source {} is not open", id));
  return at->second;
}

Result<void> Sink::open(Stream& stream) {
  std::string target = target_.expand(stream.source, stream.next_n, wall_clock_());
  if (auto claimed = claim(target, stream.source); !claimed) return claimed;
  // Only folders that a placeholder names are created: a folder written out in the config that is
  // missing is more likely a typing mistake, or a mount that is away.
  struct stat info {};
  std::string folder = folder_of(target);
  if (folder != target_.fixed_folder() && ::stat(target_.fixed_folder().c_str(), &info) == 0) {
    if (auto made = make_folders(target_.fixed_folder(), folder); !made) return made;
  }
  auto output = Output::open(std::move(target), options_);
  if (!output) return tl::unexpected(output.error());
  stream.output = std::move(*output);
  stream.active = true;
  ++stream.next_n;
  return {};
}

Result<void> Sink::publish(Stream& stream) {
  if (!stream.output) return {};
  if (auto published = stream.output->publish(); !published) return published;
  published_.push_back({stream.output->target(), stream.output->record_bytes(), stream.output->disk_bytes()});
  stream.output.reset();
  return {};
}

// Refuses a target that another source of this run has: with force it would silently replace that one's
// records.
Result<void> Sink::claim(const std::string& target, const std::string& source) {
  if (target == source) {
    return fail(Fault::kFatal, fmt::format("sink.path: the output of {} would replace it", source),
                kExitConfig);
  }
  if (!target_.per_source()) return {};
  auto [at, fresh] = claimed_.try_emplace(target, source);
  if (fresh) return {};
  return fail(
      Fault::kFatal,
      fmt::format("two sources with one target: {} and {} would both become {}; {{path}} in sink.path keeps "
                  "folders apart",
                  at->second, source, target),
      kExitConfig);
}

}  // namespace leat::writer
