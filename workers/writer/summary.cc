#include "workers/writer/summary.h"

#include "proto/base/json.h"

namespace leat::writer {

namespace {

void put_problems(JsonWriter& json, const char* key, const Summary& summary, ledger::SourceState state) {
  json.array(key, [&] {
    for (const auto& source : summary.problems) {
      if (source.state != state) continue;
      json.object([&] {
        json.put("path", source.path);
        json.put("offset", source.place.offset);
        json.put("reason", source.reason);
      });
    }
  });
}

}  // namespace

std::string to_json(const Summary& summary) {
  JsonWriter json(JsonFor::kLeat);
  const ledger::Run& run = summary.run;
  json.object([&] {
    json.put("stopped", summary.stopped);
    json.put("resumed", summary.resumed);
    json.put("committed", true);
    json.put("already_done", summary.already_done);
    json.put("last_done_s", summary.last_done_s);
    json.put("in", run.counts.in);
    json.put("kept", run.counts.kept);
    json.put("dropped", run.counts.dropped);
    json.put("dead", run.counts.dead);
    json.put("out", run.counts.out);
    json.put("out_bytes", run.counts.out_bytes);
    json.put("outputs_count", summary.outputs_count);
    json.put("outputs_empty", summary.outputs_empty);
    json.array("outputs", [&] {
      for (const auto& output : summary.outputs) {
        json.object([&] {
          json.put("path", output.path);
          json.put("bytes", output.disk_bytes);
          json.put("records_bytes", output.record_bytes);
        });
      }
    });
    json.object("dead_letter", [&] {
      json.put("path", summary.dead_letter_path);
      json.put("records", summary.dead_letter_path.empty() ? 0 : run.counts.dead);
    });
    json.object("sources", [&] {
      json.put("done", run.sources_done);
      json.put("failed_count", run.sources_failed);
      json.put("changed_count", run.sources_changed);
      put_problems(json, "failed", summary, ledger::SourceState::kFailed);
      put_problems(json, "changed", summary, ledger::SourceState::kChanged);
    });
  });
  return json.text();
}

}  // namespace leat::writer
