#include <doctest/doctest.h>

#include <fstream>
#include <string>

#include "proto/run_summary.h"
#include "proto/status.h"

using namespace leat;
using namespace leat::proto;

namespace {

std::string golden(const char* name) {
  std::ifstream file(std::string(LEAT_SOURCE_DIR) + "/tests/golden/" + name);
  std::string line;
  REQUIRE(std::getline(file, line));
  return line;
}

}  // namespace

TEST_CASE("a run summary is the golden file's, byte for byte") {
  RunSummary summary;
  summary.resumed = true;
  summary.in = ~0ULL;
  summary.kept = 3;
  summary.dropped = 4;
  summary.dead = 5;
  summary.out = 6;
  summary.out_bytes = 7;
  summary.outputs_count = 8;
  summary.outputs_empty = 9;
  summary.outputs = {{"/out/a\"b", 10, 11}};
  summary.dead_letter = {"/out/dead", 12};
  summary.sources = {
      13, 14, -15, 16, 17, {{"/in/c", 18, "ends in the middle"}}, {{"/in/d", 19, "was edited"}}};
  const std::string line = golden("run-summary-v1.jsonl");
  CHECK(encode_fields(summary) == line);
  CHECK(encode_fields(decode_fields<RunSummary>(line, "summary").value()) == line);
}

TEST_CASE("a status is the golden file's, byte for byte") {
  PipelineStatus pipeline;
  pipeline.name = "a";
  pipeline.file = "/etc/leat/pipelines.d/a.yaml";
  pipeline.state = "running";
  pipeline.message = "12 s in read() of /mnt/nas/b";
  pipeline.state_seconds = 0.5;
  pipeline.records = {1, 2, 3, 4};
  pipeline.bytes_in = 5;
  pipeline.rate = {6.25, 7.5};
  pipeline.sources = {8, 9, 10};
  pipeline.epoch = 11;
  pipeline.window_batches = 12;
  pipeline.memory_bytes = 13;
  pipeline.bottleneck = "filter";
  pipeline.processors = {14, 15, 16, 17, 18, true};
  pipeline.workers = {{"reader", 0, 19, 20, "own", "busy", 21.5, "read()", 0.25, 0.5, 0.125, 22, 23}};
  pipeline.events = {{"2026-11-24T09:00:00Z", "info", "started", "x=1"}};
  const std::string line = golden("status-v1.jsonl");
  CHECK(encode_fields(Status{"0.1.0", 24, "2026-11-24T09:00:00Z", {pipeline}}) == line);
  CHECK(encode_fields(decode_fields<Status>(line, "status").value()) == line);
}

TEST_CASE("a summary or status without a key, or with one of another type, is none") {
  for (const char* name : {"run-summary-v1.jsonl", "status-v1.jsonl"}) {
    const std::string line = golden(name);
    for (std::size_t at = line.find("\":"); at != std::string::npos; at = line.find("\":", at + 1)) {
      CAPTURE(line.substr(0, at));
      std::string other = line;
      other.insert(at, "x");
      CHECK_FALSE(decode_fields<RunSummary>(other, "summary"));
      CHECK_FALSE(decode_fields<Status>(other, "status"));
    }
  }
  CHECK_FALSE(decode_fields<Status>(golden("run-summary-v1.jsonl"), "status"));
}
