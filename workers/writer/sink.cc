#include "workers/writer/sink.h"

#include <fmt/format.h>
#include <sys/stat.h>

#include <cstring>
#include <utility>

#include "config/glob.h"
#include "workers/writer/file.h"
#include "workers/writer/recovery.h"

namespace leat::writer {

namespace {

constexpr std::uint64_t kAllSources = 0;

}  // namespace

Sink::Sink(config::Sink config, const std::vector<std::string>& globs, bool force, WallClock wall_clock,
           bool daemon)
    : config_(std::move(config)),
      globs_(globs),
      target_(config_.path, globs),
      options_{config_.compression, config_.level, config_.threads, force, daemon},
      wall_clock_(std::move(wall_clock)) {}

Result<void> Sink::start(ledger::View& view, bool begun) {
  view_ = &view;
  begun_ = begun;
  streams_.clear();
  publisher_ = Publisher();
  forgotten_.clear();
  claims_.clear();
  if (auto mounted = check_mounted(); !mounted) return mounted;
  auto found = recover(view, target_, options_);
  if (!found) return or_unmounted(found.error());
  forgotten_ = std::move(found->forgotten);
  notes_ = std::move(found->notes);
  for (auto& row : found->rows) publisher_.add(std::move(row));
  for (auto& output : found->whole) {
    if (auto added = publisher_.add(std::move(output)); !added) return added;
  }
  if (target_.per_source()) return check_folder(target_.fixed_folder());
  Stream& all = streams_[kAllSources];
  all.output = std::move(found->open);
  if (all.output) new_names_.insert(folder_of(all.output->target()));  // it may have been made again
  return start_for_all();
}

Result<void> Sink::check_mounted() const {
  return config_.require_mount.empty() ? Result<void>{} : check_mount(config_.require_mount);
}

// A file that is not there while the mount is unavailable is no loss: the mount is what to wait for.
tl::unexpected<Error> Sink::or_unmounted(const Error& error) const {
  auto mounted = check_mounted();
  return tl::unexpected(mounted ? error : mounted.error());
}

Result<void> Sink::start_for_all() {
  Stream& stream = streams_[kAllSources];
  auto last = LEAT_TRY(view_->last_n(kAllSources));
  stream.next_n = last + 1;
  if (stream.output) return {};
  // A reader of a FIFO is waited for here, where waiting is looked after.
  std::string target = target_.expand({}, stream.next_n, wall_clock_());
  return is_special(target) ? open(stream) : check_folder(target_.fixed_folder());
}

Result<void> Sink::source_opened(std::uint64_t id, const std::string& path, bool from_start) {
  LEAT_CHECK(id != kAllSources, path);
  if (!target_.per_source()) {
    Stream& all = stream_of(id);
    bool first = !begun_ && !all.output && from_start;
    begun_ = begun_ || from_start;
    return first ? open(all) : Result<void>{};
  }
  auto [at, fresh] = streams_.try_emplace(id);
  LEAT_CHECK(fresh, fmt::format("source {} opened twice: {}", id, path));
  Stream& stream = at->second;
  stream.id = id;
  stream.source = path;
  stream.from_start = from_start;
  auto last = LEAT_TRY(view_->last_n(id));
  stream.next_n = last + 1;
  auto reopened = reopen_output(*view_, id, options_);
  if (!reopened) return or_unmounted(reopened.error());
  stream.output = std::move(*reopened);
  if (stream.output) {
    stream.from_start = false;
    new_names_.insert(folder_of(stream.output->target()));
  }
  return stream.from_start ? open(stream) : Result<void>{};
}

Result<void> Sink::write(std::uint64_t id, std::string_view records) {
  Stream& stream = stream_of(id);
  uncommitted_ += records.size();
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
      if (auto retired = retire(stream); !retired) return retired;
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
  auto at = streams_.find(id);
  if (at != streams_.end()) {
    auto retired = retire(at->second);
    streams_.erase(at);
    return retired;
  }
  auto left = reopen_output(*view_, id, options_);  // by an earlier writer
  if (!left) return or_unmounted(left.error());
  if (*left) new_names_.insert(folder_of((*left)->target()));
  return *left ? publisher_.add(std::move(*left)) : Result<void>{};
}

Result<void> Sink::source_suspended(std::uint64_t id) {
  auto at = streams_.find(id);
  if (!target_.per_source() || at == streams_.end()) return {};
  std::unique_ptr<Output> output = std::move(at->second.output);
  streams_.erase(at);
  if (!output || output->special()) return {};
  auto finished = output->finish();
  if (finished) suspended_.push_back(std::move(output));
  return finished;
}

Result<void> Sink::tick(Clock::time_point now) {
  if (config_.rotate.idle.count() == 0) return {};
  for (auto& [id, stream] : streams_) {
    if (!stream.output || stream.output->record_bytes() == 0)
      continue;  // an empty one stays for its first record
    if (std::exchange(stream.active, false)) {
      stream.idle_since = now;
    } else if (now - stream.idle_since >= config_.rotate.idle) {
      if (auto retired = retire(stream); !retired) return retired;
    }
  }
  return {};
}

Result<void> Sink::finish() {
  for (auto& [id, stream] : streams_) {
    if (auto retired = retire(stream); !retired) return retired;
  }
  streams_.clear();
  return {};
}

Result<void> Sink::finish_numbered() {
  auto all = streams_.find(kAllSources);
  bool wanted = target_.numbered() && all != streams_.end() && all->second.output &&
                all->second.output->record_bytes() > 0;
  return wanted ? retire(all->second) : Result<void>{};
}

Result<void> Sink::prepare(ledger::Commit& commit) {
  auto add = [&](Output& output) -> Result<void> {
    output.keep();
    LEAT_TRY(output.commit());
    if (output.dirty() && !output.special()) commit.outputs.push_back(&output.row());
    return {};
  };
  for (auto& [id, stream] : streams_) {
    if (!stream.output) continue;
    if (auto added = add(*stream.output); !added) return added;
  }
  for (auto& output : suspended_) {
    if (auto added = add(*output); !added) return added;
  }
  if (auto prepared = publisher_.prepare(commit); !prepared) return prepared;
  commit.forget_outputs.insert(commit.forget_outputs.end(), forgotten_.begin(), forgotten_.end());
  auto synced = sync_folders(new_names_);
  return synced ? synced : or_unmounted(synced.error());
}

Result<void> Sink::committed() {
  for (auto& [id, stream] : streams_) {
    if (stream.output) stream.output->mark_reported();
  }
  suspended_.clear();
  forgotten_.clear();
  claims_.clear();  // the ledger has them
  uncommitted_ = 0;
  auto published = publisher_.committed();
  if (!published) return or_unmounted(published.error());
  if (target_.numbered()) return {};
  for (const ledger::Output& row : **published) {
    auto replaced = LEAT_TRY(superseded(*view_, row));
    forgotten_.insert(forgotten_.end(), replaced.begin(), replaced.end());
  }
  return {};
}

Result<std::string> Sink::missing_output() {
  if (target_.per_source() || target_.numbered()) return std::string();
  auto known = LEAT_TRY(view_->output_at(target_.expand({}, 1, wall_clock_())));
  if (!known || known->state != ledger::OutputState::kPublished) return std::string();
  auto there = LEAT_TRY(stat_file(known->target));
  return there ? std::string() : known->target;
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
  if (auto mounted = check_mounted(); !mounted) return mounted;
  std::string target = target_.expand(stream.source, stream.next_n, wall_clock_());
  if (std::string glob = config::reads_own_output(globs_, target); !glob.empty()) {
    return fail(
        Fault::kFatal,
        fmt::format("{} would be read as an input: its folder is one of {} under another name; write to "
                    "another folder",
                    target, glob),
        kExitConfig);
  }
  auto replace = LEAT_TRY(may_replace(stream, target));
  // Only folders that a placeholder names are created: a folder written out in the config that is
  // missing is more likely a typing mistake, or a mount that is unavailable.
  struct stat info {};
  std::string folder = folder_of(target);
  if (folder != target_.fixed_folder() && ::stat(target_.fixed_folder().c_str(), &info) == 0) {
    if (auto made = make_folders(target_.fixed_folder(), folder); !made) return made;
  }
  OutputOptions options = options_;
  options.force = replace;
  stream.output = LEAT_TRY(Output::open(std::move(target), options));
  stream.output->row().source = stream.id;
  stream.output->row().n = stream.next_n++;
  stream.active = true;
  stream.from_start = false;
  if (stream.output->special()) return {};
  new_names_.insert(folder);
  claims_[stream.output->target()] = stream.source;
  return {};
}

// The output takes no more records.
Result<void> Sink::retire(Stream& stream) {
  return stream.output ? publisher_.add(std::move(stream.output)) : Result<void>{};
}

// Whether an output that is to be opened may take the place of what its target holds. Refused, even with force: what
// would be lost for good, as its records do not come again.
Result<bool> Sink::may_replace(const Stream& stream, const std::string& target) {
  if (target == stream.source) {
    return fail(Fault::kFatal, fmt::format("sink.path: the output of {} would replace it", stream.source),
                kExitConfig);
  }
  LEAT_TRY(check_other_sources(stream, target));
  auto known = LEAT_TRY(view_->output_at(target));
  bool published = known && known->state == ledger::OutputState::kPublished;
  if (!published) return options_.force;
  auto there = LEAT_TRY(stat_file(target));
  if (!there) {  // it was taken away from outside
    forgotten_.push_back(known->id);
    return options_.force;
  }
  if (stream.id != kAllSources && known->source == stream.id && stream.from_start) return true;
  std::string advice = stream.id == kAllSources ? "--fresh --force makes it again from all sources, {n} or "
                                                  "{stem} in sink.path gives new records a file of their own"
                                                : fmt::format("--reread {} makes it again", stream.source);
  return fail(
      Fault::kFatal,
      fmt::format("{} exists already, and holds records that leat has read before and does not read again: "
                  "{}move it away",
                  target, options_.daemon ? "" : advice + "; or "),
      kExitConfig);
}

// With force one would silently replace the other's records. What the ledger has forgotten is nobody's.
Result<void> Sink::check_other_sources(const Stream& stream, const std::string& target) {
  std::string other;
  if (auto claim = claims_.find(target); claim != claims_.end()) {
    if (claim->second == stream.source) {
      return fail(Fault::kFatal,
                  fmt::format("{} is finished already: {{n}} in sink.path keeps outputs apart", target),
                  kExitConfig);
    }
    other = claim->second;
  }
  if (stream.id != kAllSources && other.empty()) {
    auto known = LEAT_TRY(view_->output_at(target));
    if (known && known->source != stream.id) {
      auto source = LEAT_TRY(view_->source_with(known->source));
      if (source) other = source->path;
    }
  }
  if (other.empty()) return {};
  return fail(
      Fault::kFatal,
      fmt::format("two sources with one target: {} and {} would both become {}; {{path}} in sink.path keeps "
                  "folders apart",
                  other, stream.source, target),
      kExitConfig);
}

}  // namespace leat::writer
