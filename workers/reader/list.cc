#include "workers/reader/list.h"

#include <cstdio>

#include "config/parse.h"
#include "proto/base/json.h"
#include "workers/reader/listing.h"
#include "workers/stage/worker.h"

namespace leat::reader {

int print_list(const std::string& pipeline_file) {
  auto parsed = config::load_pipeline(pipeline_file);
  if (!parsed.problems.empty()) {
    throw stage::Fatal({Fault::kFatal, config::to_string(parsed.problems.front()), kExitConfig});
  }
  auto listing = list_files(parsed.pipeline.source.paths);
  JsonWriter json(JsonFor::kLeat);
  json.object([&] {
    json.array("files", [&] {
      for (const auto& found : listing.files) {
        json.object([&] {
          json.put("path", found.path);
          json.put("bytes", found.size);
        });
      }
    });
    json.array("skipped", [&] {
      for (const auto& skipped : listing.skipped) {
        json.object([&] {
          json.put("path", skipped.path);
          json.put("reason", skipped.reason);
        });
      }
    });
  });
  std::printf("%s\n", json.text().c_str());
  return kExitOk;
}

}  // namespace leat::reader
