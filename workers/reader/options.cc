#include "workers/reader/options.h"

#include <fmt/format.h>

#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "proto/batch.h"
#include "workers/ledger/state_folder.h"
#include "workers/reader/known.h"
#include "workers/stage/test_hook.h"

namespace leat::reader {

namespace {

constexpr std::size_t kReadAheadBatches = 4;

// What a person can do about a source that has changed. again: its output can take it again.
std::string remedy(const stage::Worker& worker, bool again) {
  const stage::Briefing& briefing = worker.briefing();
  const config::Pipeline& pipeline = worker.pipeline();
  if (briefing.daemon) return "Under another name it is read from its start";
  const stage::Surroundings& around = briefing.surroundings;
  const std::string state = around.volatile_state ? "" : ledger::state_option(around.state, pipeline.name);
  if (again) {
    return fmt::format("`leat run {}{} --reread {{path}}` reads it again from its start", pipeline.file,
                       state);
  }
  return fmt::format("`leat run {}{} --fresh --force` makes {} again from all sources", pipeline.file, state,
                     pipeline.sink.path);
}

// What the ledger says of earlier runs, and of this one before the reader died.
std::shared_ptr<Known> load_known(const stage::Worker& worker) {
  const auto& pipeline = worker.pipeline();
  const std::string& path = pipeline.sink.path;
  if (worker.briefing().surroundings.volatile_state && !pipeline.source.after.empty()) {
    throw stage::Fatal({Fault::kFatal,
                        fmt::format("source.after is for sources whose records are safe in a file, and "
                                    "sink.path {} is a pipe or a device: remove source.after",
                                    path),
                        kExitConfig});
  }
  const auto holds = [&path](std::string_view name) { return path.find(name) != std::string::npos; };
  Known::Options options;
  options.growing = pipeline.source.growing;
  options.follow = worker.briefing().follow;
  options.one_output_each = (holds("{stem}") || holds("{path}")) && !holds("{n}");
  options.numbered = holds("{n}");
  options.remedy = remedy(worker, holds("{stem}") || holds("{path}") || options.numbered);
  auto records = stage::value_or_fatal(open_records(worker.briefing().surroundings.state));
  return std::make_shared<Known>(stage::value_or_fatal(Known::load(std::move(records), options)));
}

}  // namespace

ReadAhead::Options read_ahead_options(const stage::Worker& worker, std::size_t first_target_bytes) {
  ReadAhead::Options options;
  const auto& pipeline = worker.pipeline();
  options.source = pipeline.source;
  options.zstd_window_bytes = pipeline.limits.zstd_window_bytes;
  options.payloads = worker.payloads();
  options.target_bytes = first_target_bytes;
  options.queue_bytes = kReadAheadBatches * pipeline.limits.batch_bytes;
  options.follow = worker.briefing().follow;
  options.day = stage::day();
  options.known = load_known(worker);
  options.outputs = {pipeline.sink.path, pipeline.dead_letter_path};
  return options;
}

}  // namespace leat::reader
