#include "workers/reader/list.h"

#include <cstdio>
#include <utility>

#include "config/parse.h"
#include "proto/explain.h"
#include "workers/reader/listing.h"
#include "workers/stage/worker.h"

namespace leat::reader {

int print_list(const std::string& pipeline_file) {
  auto parsed = config::load_pipeline(pipeline_file);
  if (!parsed.problems.empty()) {
    throw stage::Fatal({Fault::kFatal, config::to_string(parsed.problems.front()), kExitConfig});
  }
  auto listing = list_files(parsed.pipeline.source.paths);
  proto::Listing list;
  for (auto& found : listing.files) list.files.push_back({std::move(found.path), found.size});
  for (auto& skipped : listing.skipped)
    list.skipped.push_back({std::move(skipped.path), std::move(skipped.reason)});
  std::printf("%s\n", encode_fields(list).c_str());
  return kExitOk;
}

}  // namespace leat::reader
