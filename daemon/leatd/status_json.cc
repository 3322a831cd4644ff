#include "daemon/leatd/status_json.h"

#include <fmt/chrono.h>
#include <fmt/format.h>

#include <ctime>
#include <filesystem>
#include <optional>

namespace leat::leatd {

namespace {

void put_worker(JsonWriter& json, const supervisor::WorkerStatus& worker) {
  json.object([&] {
    json.put("role", to_string(worker.slot.stage));
    json.put("index", std::uint64_t{worker.slot.index});
    json.put("instance", std::uint64_t{worker.instance});
    json.put("pid", static_cast<std::uint64_t>(worker.pid));
    json.put("kind", worker.joined ? "joined" : "own");
    json.put("state", worker.state);
    json.put("state_seconds", worker.state_seconds);
    json.put("activity", worker.activity);
    json.put("busy", worker.shares.busy);
    json.put("blocked", worker.shares.blocked);
    json.put("idle", worker.shares.idle);
    json.put("records", worker.records);
    json.put("memory_bytes", worker.memory_bytes);
  });
}

void put_totals(JsonWriter& json, const Runner& runner, const supervisor::Snapshot& totals) {
  json.object("records", [&] {
    json.put("in", totals.records_in);
    json.put("kept", totals.kept);
    json.put("dropped", totals.dropped);
    json.put("dead", totals.dead);
  });
  json.put("bytes_in", totals.bytes_in);
  json.object("rate", [&] {
    json.put("records", runner.rates().records);
    json.put("bytes", runner.rates().bytes);
  });
  json.object("sources", [&] {
    json.put("total", totals.sources_total);
    json.put("done", totals.sources_done);
    json.put("failed", totals.sources_failed);
  });
}

void put_pool(JsonWriter& json, const supervisor::PoolStatus& pool) {
  json.object("processors", [&] {
    json.put("own", static_cast<std::uint64_t>(pool.own));
    json.put("joined", static_cast<std::uint64_t>(pool.joined));
    json.put("wanted", static_cast<std::uint64_t>(pool.wanted));
    json.put("min", static_cast<std::uint64_t>(pool.min));
    json.put("max", static_cast<std::uint64_t>(pool.max));
    json.put("auto", pool.automatic);
  });
}

}  // namespace

std::string iso_time(std::int64_t unix_s) {
  return fmt::format("{:%Y-%m-%dT%H:%M:%SZ}", fmt::gmtime(static_cast<std::time_t>(unix_s)));
}

void put_pipeline(JsonWriter& json, const Runner& runner) {
  std::optional<supervisor::Status> running = runner.status();
  supervisor::Status status = running.value_or(supervisor::Status{});
  Runner::State state = runner.state();
  json.object([&] {
    json.put("name", runner.name());
    json.put("file", runner.plan().pipeline.file);
    json.put("state", state.name);
    json.put("message", state.message);
    json.put("state_seconds", state.state_seconds);
    put_totals(json, runner, runner.totals());
    json.put("epoch", status.epoch);
    json.put("window_batches", status.window_batches);
    json.put("memory_bytes", status.memory_bytes);
    json.put("bottleneck", status.bottleneck);
    put_pool(json, status.pool);
    json.array("workers", [&] {
      for (const auto& worker : status.workers) put_worker(json, worker);
    });
    json.array("events", [&] {
      for (const Happening& happening : runner.happenings()) {
        json.object([&] {
          json.put("time", iso_time(happening.unix_s));
          json.put("level", happening.level);
          json.put("event", happening.event);
          json.put("text", happening.text);
        });
      }
    });
  });
}

std::string problems_of(const plan::Candidate& candidate) {
  std::string text;
  for (const auto& problem : candidate.plan.problems) text += (text.empty() ? "" : "\n") + to_string(problem);
  return text;
}

void put_refused(JsonWriter& json, const plan::Candidate& candidate) {
  json.object([&] {
    json.put("name", std::filesystem::path(candidate.file).filename().string());
    json.put("file", candidate.file);
    json.put("state", "refused");
    json.put("message", problems_of(candidate));
  });
}

}  // namespace leat::leatd
