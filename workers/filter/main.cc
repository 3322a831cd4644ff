// leat-filter: keeps the records that are wanted and rejects the malformed ones.
//
// Reads   batches of lines from the reader; at start the files of in_file and not_in_file
// Writes  batches of kept records to the processors, or without steps to the writer; nothing to disk
// Never   opens a source or a sink, or changes a byte of a record it keeps
// Fails   a file of in_file cannot be read: exits 78
// Gaps    the counts of surprises (missing fields, other types) end with the process

#include <fmt/format.h>
#include <rapidjson/stringbuffer.h>
#include <rapidjson/writer.h>

#include <cstdio>

#include "config/parse.h"
#include "workers/filter/describe.h"
#include "workers/filter/sandbox.h"
#include "workers/filter/stage.h"
#include "workers/stage/pump.h"
#include "workers/stage/worker.h"

namespace {

using leat::stage::value_or_fatal;
using leat::stage::Worker;

// {"predicates": [...], "sets_bytes": N}: what `leat explain` shows of this stage. Loads the files of
// in_file.
int describe(const std::string& file) {
  auto parsed = leat::config::load_pipeline(file);
  if (!parsed.problems.empty()) {
    throw leat::stage::Fatal(
        {leat::Fault::kFatal, leat::config::to_string(parsed.problems.front()), leat::kExitConfig});
  }
  auto stage = value_or_fatal(leat::filter::FilterStage::make(parsed.pipeline));
  rapidjson::StringBuffer buffer;
  rapidjson::Writer<rapidjson::StringBuffer> json(buffer);
  json.StartObject();
  json.Key("predicates");
  json.StartArray();
  for (const auto& predicate : parsed.pipeline.filter.keep)
    json.String(leat::filter::describe(predicate).c_str());
  json.EndArray();
  json.Key("sets_bytes");
  json.Uint64(stage.predicates().memory_bytes());
  json.EndObject();
  std::printf("%s\n", buffer.GetString());
  return leat::kExitOk;
}

void work(Worker& worker) {
  auto stage = value_or_fatal(leat::filter::FilterStage::make(worker.pipeline()));
  // The files of in_file are read: this thread, which handles records, needs no more of them.
  worker.confine_further(leat::stage::worker_policy(worker.surroundings()));
  stage.note_records(leat::stage::RecordMark(*worker.page()));
  leat::stage::pump(worker, [&](leat::proto::Batch batch) { return stage.transform(std::move(batch)); });
}

}  // namespace

int main(int argc, char** argv) {
  return leat::stage::run_worker({leat::proto::Stage::kFilter, describe, leat::filter::sandbox, work}, argc,
                                 argv);
}
