#include "workers/writer/summary.h"

#include <rapidjson/stringbuffer.h>
#include <rapidjson/writer.h>

namespace leat::writer {

namespace {

class Json {
 public:
  void number(const char* key, std::uint64_t value) {
    json_.Key(key);
    json_.Uint64(value);
  }
  void seconds(const char* key, std::int64_t value) {
    json_.Key(key);
    json_.Int64(value);
  }
  void boolean(const char* key, bool value) {
    json_.Key(key);
    json_.Bool(value);
  }
  void text(const char* key, const std::string& value) {
    json_.Key(key);
    json_.String(value.data(), static_cast<rapidjson::SizeType>(value.size()));
  }
  template <class Fill>
  void object(const char* key, Fill fill) {
    if (key != nullptr) json_.Key(key);
    json_.StartObject();
    fill();
    json_.EndObject();
  }
  template <class Fill>
  void array(const char* key, Fill fill) {
    json_.Key(key);
    json_.StartArray();
    fill();
    json_.EndArray();
  }
  std::string take() const { return {buffer_.GetString(), buffer_.GetSize()}; }

 private:
  rapidjson::StringBuffer buffer_;
  rapidjson::Writer<rapidjson::StringBuffer> json_{buffer_};
};

void put_problems(Json& json, const char* key, const Summary& summary, ledger::SourceState state) {
  json.array(key, [&] {
    for (const auto& source : summary.problems) {
      if (source.state != state) continue;
      json.object(nullptr, [&] {
        json.text("path", source.path);
        json.number("offset", source.place.offset);
        json.text("reason", source.reason);
      });
    }
  });
}

}  // namespace

std::string to_json(const Summary& summary) {
  Json json;
  const ledger::Run& run = summary.run;
  json.object(nullptr, [&] {
    json.boolean("stopped", summary.stopped);
    json.boolean("resumed", summary.resumed);
    json.boolean("committed", true);
    json.number("already_done", summary.already_done);
    json.seconds("last_done_s", summary.last_done_s);
    json.number("in", run.counts.in);
    json.number("kept", run.counts.kept);
    json.number("dropped", run.counts.dropped);
    json.number("dead", run.counts.dead);
    json.number("out", run.counts.out);
    json.number("out_bytes", run.counts.out_bytes);
    json.number("outputs_count", summary.outputs_count);
    json.number("outputs_empty", summary.outputs_empty);
    json.array("outputs", [&] {
      for (const auto& output : summary.outputs) {
        json.object(nullptr, [&] {
          json.text("path", output.path);
          json.number("bytes", output.disk_bytes);
          json.number("records_bytes", output.record_bytes);
        });
      }
    });
    json.object("dead_letter", [&] {
      json.text("path", summary.dead_letter_path);
      json.number("records", summary.dead_letter_path.empty() ? 0 : run.counts.dead);
    });
    json.object("sources", [&] {
      json.number("done", run.sources_done);
      json.number("failed_count", run.sources_failed);
      json.number("changed_count", run.sources_changed);
      put_problems(json, "failed", summary, ledger::SourceState::kFailed);
      put_problems(json, "changed", summary, ledger::SourceState::kChanged);
    });
  });
  return json.take();
}

}  // namespace leat::writer
