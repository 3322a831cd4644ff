#include "workers/reader/list.h"

#include <cstdio>
#include <utility>

#include "proto/explain.h"
#include "workers/reader/listing.h"
#include "workers/stage/worker.h"

namespace leat::reader {

int print_list(const config::Pipeline& pipeline) {
  auto listing = list_files(pipeline.source);
  proto::Listing list;
  for (auto& found : listing.files) list.files.push_back({std::move(found.path), found.size});
  for (auto& skipped : listing.skipped)
    list.skipped.push_back({std::move(skipped.path), std::move(skipped.reason)});
  std::printf("%s\n", encode_fields(list).c_str());
  return kExitOk;
}

}  // namespace leat::reader
