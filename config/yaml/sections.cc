#include "config/yaml/sections.h"

#include <fmt/format.h>
#include <sched.h>

#include <algorithm>

namespace leat::config {
namespace {

using namespace std::chrono_literals;

constexpr std::uint64_t kTiB = 1024 * kGiB;
constexpr milliseconds kMonth = 24h * 30;

void parse_name(const Map& root, Pipeline& pipeline) {
  const auto value = root.need("name", "a short name for the pipeline such as reviews");
  if (!value) return;
  const auto name = value->text("a name");
  if (!name) return;
  const bool good = !name->empty() && name->size() <= 32 &&
                    name->find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789-") == std::string::npos;
  if (!good) value->expected("1 to 32 of a-z, 0-9 and -");
  pipeline.name = *name;
}

void parse_version(const Map& root) {
  const auto value = root.need("version", "1");
  if (value && !(value->is(Node::Kind::kPlain) && value->node().text == "1")) {
    value->expected("1, the only version of pipeline files this leat knows");
  }
}

void parse_mount(const Map& map, std::string& out) {
  const auto value = map.find("require_mount");
  if (!value) return;
  const auto text = value->text("the absolute path of a mount point");
  if (!text) return;
  if (!text->starts_with('/')) {
    value->expected("the absolute path of a mount point such as /mnt/nas");
  } else {
    out = lexical(*text);
  }
}

Compression parse_compression(const Map& map) {
  const auto value = map.find("compression");
  return value ? static_cast<Compression>(value->choice(names::kCompressions).value_or(0))
               : Compression::kAuto;
}

std::string parse_after(const Value& value, const std::string& base_dir) {
  if (!value.is(Node::Kind::kMap)) {
    const auto found = std::ranges::find(names::kAfters, std::string_view(value.node().text));
    if (found == std::end(names::kAfters)) value.expected("keep, delete or {move: FOLDER}");
    return value.node().text == "delete" ? "delete" : "";
  }
  const Map map(value, keys::kAfter);
  const auto folder = map.need("move", "the folder that finished sources are moved to");
  const auto path = folder ? parse_path(*folder, base_dir) : std::nullopt;
  return path ? "move:" + *path : "";
}

// Without a '/' it is a name, at any depth; else a path.
void parse_exclude(const Value& value, const std::string& base_dir, std::vector<std::string>& exclude) {
  const auto items = value.list("globs or names such as \"*.bak\"");
  if (!items) return;
  for (const Value& item : *items) {
    const auto glob = parse_glob(item, base_dir);
    const auto name = glob ? interpolated(item, item.node().text) : std::nullopt;
    if (name) exclude.push_back(name->find('/') == std::string::npos ? *name : *glob);
  }
}

void parse_source(const Value& value, Pipeline& pipeline) {
  const Map map(value, keys::kSource);
  Source& source = pipeline.source;
  const auto paths = map.need("paths", "a list of globs such as [/mnt/nas/in/**/*.jsonl]");
  if (const auto items = paths ? paths->list("globs such as /mnt/nas/in/**/*.jsonl") : std::nullopt) {
    for (const Value& item : *items) {
      if (const auto glob = parse_glob(item, pipeline.base_dir)) source.paths.push_back(*glob);
    }
  }
  if (const auto exclude = map.find("exclude")) parse_exclude(*exclude, pipeline.base_dir, source.exclude);
  source.compression = parse_compression(map);
  map.duration("poll", source.poll, 10ms, 24h);
  map.duration("settle", source.settle, 0ms, kMonth);
  if (const auto growing = map.find("growing")) source.growing = growing->boolean().value_or(false);
  parse_mount(map, source.require_mount);
  map.duration("give_up", source.give_up, 1ms, kMonth);
  if (const auto after = map.find("after")) source.after = parse_after(*after, pipeline.base_dir);
  map.size("max_record", source.max_record_bytes, kKiB, kGiB);
}

void parse_filter(const Value& value, Pipeline& pipeline) {
  const Map map(value, keys::kFilter);
  map.integer("workers", pipeline.filter.workers, 1, 16);
  if (const auto keep = map.find("keep")) pipeline.filter.keep = parse_predicates(*keep, pipeline.base_dir);
}

int online_cores() {
  cpu_set_t set;
  CPU_ZERO(&set);
  if (sched_getaffinity(0, sizeof set, &set) != 0) return 1;
  return std::clamp(CPU_COUNT(&set), 1, kMaxProcessors);
}

Workers parse_range(const Value& value) {
  const Map map(value, keys::kWorkers);
  Workers workers{1, kMaxProcessors};
  map.integer("min", workers.min, 0, kMaxProcessors);
  if (map.need("max", "the most processors to start")) map.integer("max", workers.max, 1, kMaxProcessors);
  if (workers.min > workers.max) {
    map.find("min")->problem(fmt::format("{} is more than max, which is {}", workers.min, workers.max));
  }
  return workers;
}

Workers parse_workers(const Value& value) {
  if (value.is(Node::Kind::kMap)) return parse_range(value);
  if (value.node().text == "auto") return {1, online_cores()};
  if (value.is(Node::Kind::kPlain)) {
    const int count = static_cast<int>(value.integer(0, kMaxProcessors).value_or(1));
    return {count, count};
  }
  value.expected(fmt::format("a whole number from 0 to {}, auto or {{min: 1, max: 8}}", kMaxProcessors));
  return {};
}

void parse_process(const Value& value, Pipeline& pipeline) {
  const Map map(value, keys::kProcess);
  Process& process = pipeline.process;
  if (const auto workers = map.find("workers")) process.workers = parse_workers(*workers);
  map.duration("timeout", process.timeout, 1ms, kMonth);
  if (const auto steps = map.find("steps")) process.steps = parse_steps(*steps, pipeline.base_dir);
}

void parse_level(const Map& map, Sink& sink) {
  const bool gzip = sink.compression == Compression::kGzip;
  sink.level = default_level(sink.compression);
  const auto value = map.find("level");
  if (!value) return;
  if (const auto level = gzip ? value->integer(1, 9) : value->integer(-7, 22))
    sink.level = static_cast<int>(*level);
  if (sink.level == 0) {
    value->problem("expected a zstd level from 1 to 22 (small to high) or from -7 to -1 (fastest), got 0");
  }
}

void parse_sink(const Value& value, Pipeline& pipeline) {
  const Map map(value, keys::kSink);
  Sink& sink = pipeline.sink;
  if (const auto path = map.need("path", "the file to write such as out/reviews.jsonl.zst")) {
    sink.path = parse_path(*path, pipeline.base_dir).value_or("");
    if (const auto& text = path->node().text; text.ends_with('/')) path->expected("a file, not a folder");
  }
  sink.compression = parse_compression(map);
  sink.by_name = sink.compression == Compression::kAuto;
  if (sink.by_name) sink.compression = compression_of(sink.path);
  parse_level(map, sink);
  map.integer("threads", sink.threads, 0, 16);
  if (const auto rotate = map.find("rotate")) {
    const Map rotation(*rotate, keys::kRotate);
    rotation.size("bytes", sink.rotate.bytes, 1, 16 * kTiB);
    rotation.duration("idle", sink.rotate.idle, 1ms, kMonth);
    if (!rotation.find("bytes") && !rotation.find("idle")) {
      rotate->problem("expected bytes or idle or both, such as {bytes: 1GiB, idle: 60s}");
    }
    if (sink.rotate == Rotate{}) sink.path.clear();  // whether they fit is not known
  }
  parse_mount(map, sink.require_mount);
}

void parse_dead_letter(const Value& value, Pipeline& pipeline) {
  const Map map(value, keys::kDeadLetter);
  const auto path = map.need("path", "the file for rejected records such as out/reviews.dead.jsonl");
  if (!path) return;
  pipeline.dead_letter_path = parse_path(*path, pipeline.base_dir).value_or("");
  if (path->node().text.ends_with('/')) path->expected("a file, not a folder");
}

void parse_limits(const Value& value, Limits& limits) {
  const Map map(value, keys::kLimits);
  map.size("memory", limits.memory_bytes, 16 * kMiB, kTiB);
  map.size("batch", limits.batch_bytes, 4 * kKiB, kMiB);
  map.size("zstd_window", limits.zstd_window_bytes, kKiB, 2 * kGiB);
  if (const auto commit = map.find("commit")) {
    const Map commits(*commit, keys::kCommit);
    commits.duration("interval", limits.commit_interval, 1ms, 1h);
    commits.size("bytes", limits.commit_bytes, 1, kTiB);
  }
}

}  // namespace

void parse_sections(const Map& root, Pipeline& pipeline) {
  parse_version(root);
  parse_name(root, pipeline);
  if (const auto source = root.need("source", "paths and how to read them")) parse_source(*source, pipeline);
  if (const auto filter = root.find("filter")) parse_filter(*filter, pipeline);
  if (const auto process = root.find("process")) parse_process(*process, pipeline);
  if (const auto sink = root.need("sink", "the path to write to")) parse_sink(*sink, pipeline);
  if (const auto dead = root.find("dead_letter")) parse_dead_letter(*dead, pipeline);
  if (const auto limits = root.find("limits")) parse_limits(*limits, pipeline.limits);
}

}  // namespace leat::config
