#include "daemon/leatd/status.h"

#include <fmt/chrono.h>
#include <fmt/format.h>

#include <ctime>
#include <filesystem>

namespace leat::leatd {

std::string iso_time(std::int64_t unix_s) {
  return fmt::format("{:%Y-%m-%dT%H:%M:%SZ}", fmt::gmtime(static_cast<std::time_t>(unix_s)));
}

proto::PipelineStatus status_of(const Runner& runner) {
  proto::PipelineStatus status;
  status.name = runner.name();
  status.file = runner.plan().pipeline.file;
  const Runner::State state = runner.state();
  status.state = state.name;
  status.message = state.message;
  status.state_seconds = state.state_seconds;
  const supervisor::Snapshot totals = runner.totals();
  status.records = {totals.records_in, totals.kept, totals.dropped, totals.dead};
  status.bytes_in = totals.bytes_in;
  status.rate = {runner.rates().records, runner.rates().bytes};
  status.sources = {totals.sources_total, totals.sources_done, totals.sources_failed};
  for (const Happening& event : runner.happenings())
    status.events.push_back({iso_time(event.unix_s), std::string(event.level), event.event, event.text});
  auto running = runner.status();
  if (!running) return status;
  status.epoch = running->epoch;
  status.window_batches = running->window_batches;
  status.memory_bytes = running->memory_bytes;
  status.bottleneck = running->bottleneck;
  status.processors = running->pool;
  status.workers = std::move(running->workers);
  return status;
}

std::string problems_of(const plan::Candidate& candidate) {
  std::string text;
  for (const auto& problem : candidate.plan.problems) text += (text.empty() ? "" : "\n") + to_string(problem);
  return text;
}

proto::PipelineStatus status_of(const plan::Candidate& refused) {
  proto::PipelineStatus status;
  status.name = std::filesystem::path(refused.file).filename().string();
  status.file = refused.file;
  status.state = "refused";
  status.message = problems_of(refused);
  return status;
}

}  // namespace leat::leatd
