#include "workers/reader/list.h"

#include <rapidjson/stringbuffer.h>
#include <rapidjson/writer.h>

#include <cstdio>

#include "config/parse.h"
#include "workers/reader/listing.h"
#include "workers/stage/worker.h"

namespace leat::reader {

namespace {

void put(rapidjson::Writer<rapidjson::StringBuffer>& json, const char* key, const std::string& text) {
  json.Key(key);
  json.String(text.data(), static_cast<rapidjson::SizeType>(text.size()));
}

}  // namespace

int print_list(const std::string& pipeline_file) {
  auto parsed = config::load_pipeline(pipeline_file);
  if (!parsed.problems.empty()) {
    throw stage::Fatal({Fault::kFatal, config::to_string(parsed.problems.front()), kExitConfig});
  }
  auto listing = list_files(parsed.pipeline.source.paths);
  rapidjson::StringBuffer buffer;
  rapidjson::Writer<rapidjson::StringBuffer> json(buffer);
  json.StartObject();
  json.Key("files");
  json.StartArray();
  for (const auto& found : listing.files) {
    json.StartObject();
    put(json, "path", found.path);
    json.Key("bytes");
    json.Uint64(found.size);
    json.EndObject();
  }
  json.EndArray();
  json.Key("skipped");
  json.StartArray();
  for (const auto& skipped : listing.skipped) {
    json.StartObject();
    put(json, "path", skipped.path);
    put(json, "reason", skipped.reason);
    json.EndObject();
  }
  json.EndArray();
  json.EndObject();
  std::printf("%s\n", buffer.GetString());
  return kExitOk;
}

}  // namespace leat::reader
