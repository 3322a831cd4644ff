#include "config/budget.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <set>

#include "config/units.h"

namespace leat::config {
namespace {

constexpr std::uint64_t kProcessBytes = 3 * kMiB;
constexpr std::uint64_t kGzipReadBytes = 64 * kKiB;
constexpr std::uint64_t kGzipWriteBytes = 320 * kKiB;
constexpr std::uint64_t kSetFactor = 3;
// A predicate, or a value that it names, in every process, as each has read the file: both together took 1.17 KiB with 5,000
// of them and 0.8 KiB with 25,000. What a usual file has is in kProcessBytes.
constexpr std::uint64_t kPredicateBytes = 700;
constexpr std::uint64_t kUsualPredicates = 200;
constexpr std::uint64_t kCopiesInFlight = 4;
constexpr std::uint64_t kMostSetBytes = std::uint64_t{1} << 50;  // keeps the sums below from running over

struct ZstdLevel {
  int window_log;        // ZSTD_getCParams(level, 0, 0).windowLog
  std::uint64_t memory;  // ZSTD_estimateCStreamSize(level)
};
// Index 0: the levels below zero.
constexpr std::array<ZstdLevel, 23> kZstdLevels = {{
    {19, 1336737},  {19, 1369505},  {20, 2090401},   {21, 3663265},   {21, 4973985},   {21, 6022561},
    {21, 6022561},  {21, 9168289},  {21, 9168289},   {22, 17556897},  {22, 30139809},  {22, 30139809},
    {22, 55305633}, {22, 55305633}, {22, 55305633},  {22, 72082849},  {22, 72082849},  {23, 72082849},
    {23, 72082849}, {23, 93848031}, {25, 202899935}, {26, 404226527}, {27, 815423967},
}};

std::uint64_t zstd_write_bytes(const Sink& sink) {
  const ZstdLevel& level = kZstdLevels[static_cast<std::size_t>(std::clamp(sink.level, 0, 22))];
  if (sink.threads == 0) return level.memory;
  const auto threads = static_cast<std::uint64_t>(sink.threads);
  const std::uint64_t job = std::uint64_t{4} << level.window_log;
  return threads * level.memory + (4 + 2 * threads) * job;
}

std::uint64_t codec_bytes(const Pipeline& pipeline) {
  std::uint64_t bytes = 0;
  const Compression in = pipeline.source.compression;
  if (in == Compression::kAuto || in == Compression::kZstd) bytes += pipeline.limits.zstd_window_bytes + kMiB;
  if (in == Compression::kGzip) bytes += kGzipReadBytes;
  if (pipeline.sink.compression == Compression::kZstd) bytes += zstd_write_bytes(pipeline.sink);
  if (pipeline.sink.compression == Compression::kGzip) bytes += kGzipWriteBytes;
  return bytes;
}

std::uint64_t count(const std::vector<Predicate>& predicates) {
  std::uint64_t all = 0;
  for (const Predicate& predicate : predicates) {
    all += 1 + predicate.values.size() + count(predicate.children);
  }
  return all;
}

std::string for_processors(int count) {
  return count == 0 ? "" : fmt::format(" for {} processor{}", count, count == 1 ? "" : "s");
}

void collect(const std::vector<Predicate>& predicates, std::set<std::string>& files) {
  for (const Predicate& predicate : predicates) {
    if (predicate.op == Predicate::Op::kInFile || predicate.op == Predicate::Op::kNotInFile) {
      files.insert(predicate.text);
    }
    collect(predicate.children, files);
  }
}

}  // namespace

Result<Budget> plan_budget(const Pipeline& pipeline, std::uint64_t in_file_bytes) {
  return plan_budget(pipeline, in_file_bytes, pipeline.process.workers.max);
}

Result<Budget> plan_budget(const Pipeline& pipeline, std::uint64_t in_file_bytes, int processors) {
  if (!pipeline.has_processors()) processors = 0;
  const int processes =
      3 + pipeline.filter.workers + processors;  // supervisor, reader and writer are one each
  Budget budget;
  const std::uint64_t unusual = std::max(count(pipeline.filter.keep), kUsualPredicates) - kUsualPredicates;
  budget.base_bytes = static_cast<std::uint64_t>(processes) * (kProcessBytes + unusual * kPredicateBytes);
  budget.codec_bytes = codec_bytes(pipeline);
  budget.sets_bytes = std::min(in_file_bytes, kMostSetBytes) * kSetFactor *
                      static_cast<std::uint64_t>(pipeline.filter.workers);
  const std::uint64_t fixed = budget.base_bytes + budget.codec_bytes + budget.sets_bytes;
  const std::uint64_t least = kCopiesInFlight * kMinWindowBatches * pipeline.limits.batch_bytes;
  if (pipeline.limits.memory_bytes < fixed + least) {
    const std::uint64_t enough = (fixed + least + kMiB - 1) / kMiB;
    return fail(
        Fault::kFatal,
        fmt::format(
            "limits.memory: {} is too little{}, {}MiB would do: {:.1f} MiB for {} processes, {:.1f} MiB "
            "for compression, {:.1f} MiB for the sets of in_file, {:.1f} MiB for {} batches in "
            "flight; fewer process.workers, a lower sink.level or a smaller limits.batch need less",
            format_size(pipeline.limits.memory_bytes), for_processors(processors), enough,
            static_cast<double>(budget.base_bytes) / kMiB, processes,
            static_cast<double>(budget.codec_bytes) / kMiB, static_cast<double>(budget.sets_bytes) / kMiB,
            static_cast<double>(least) / kMiB, kMinWindowBatches),
        kExitConfig);
  }
  budget.window_bytes = (pipeline.limits.memory_bytes - fixed) / kCopiesInFlight;
  const std::uint64_t batches = budget.window_bytes / pipeline.limits.batch_bytes;
  budget.window_batches = static_cast<int>(std::min<std::uint64_t>(batches, kMaxWindowBatches));
  return budget;
}

std::vector<std::string> in_files(const Pipeline& pipeline) {
  std::set<std::string> files;
  collect(pipeline.filter.keep, files);
  return {files.begin(), files.end()};
}

}  // namespace leat::config
