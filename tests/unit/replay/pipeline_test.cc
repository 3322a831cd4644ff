#include "daemon/replay/pipeline.h"

#include <doctest/doctest.h>

#include "config/yaml/parse.h"

using namespace leat;
using namespace leat::replay;

namespace {

constexpr const char* kFull = R"(version: 1
name: t
source: {paths: ['/in/**/*.jsonl'], compression: zstd, require_mount: /, max_record: 4MiB, after: delete}
filter: {keep: [{field: /a, eq: 5}, {not: {field: /b, eq: "5"}}]}
process: {workers: 2, steps: [{set: {/kind: {deep: [1, x]}}}, {exec: {command: [sh, -c, cat]}}]}
sink: {path: '/out/{n}.jsonl.zst', rotate: {bytes: 1GiB}, level: 5, require_mount: /}
limits: {memory: 96MiB}
)";

config::Pipeline full() {
  config::Parsed parsed = config::parse_pipeline(kFull, "/etc/leat/p.yaml");
  for (const auto& problem : parsed.problems) FAIL_CHECK(to_string(problem));
  return parsed.pipeline;
}

}  // namespace

TEST_CASE("a pipeline with other paths means the same in everything else") {
  config::Pipeline expected = full();
  auto changed = changed_pipeline(full(), {"/state/r[1]*.jsonl", "/state/dead.jsonl", "", true});
  REQUIRE(changed);
  expected.source.paths = {"/state/r[[]1][*].jsonl"};
  expected.source.compression = config::Compression::kAuto;
  expected.source.require_mount.clear();
  expected.source.after.clear();
  expected.dead_letter_path = "/state/dead.jsonl";
  CHECK(*changed == expected);
  CHECK(changed->source.max_record_bytes == 4 * config::kMiB);
}

TEST_CASE("another sink takes the rotation of the old one with it only when it has numbers") {
  auto numbered = changed_pipeline(full(), {"/s", "/d", "/o/x-{n}.jsonl", true});
  REQUIRE(numbered);
  CHECK(numbered->sink.path == "/o/x-{n}.jsonl");
  CHECK(numbered->sink.rotate.bytes == config::kGiB);
  CHECK(numbered->sink.require_mount == "/");
  auto single = changed_pipeline(full(), {"/s", "/d", "/o/x.jsonl.zst", false});
  REQUIRE(single);
  CHECK(single->sink.rotate == config::Rotate{});
  CHECK(single->sink.require_mount.empty());
}

TEST_CASE("the compression of another sink goes by its name, unless the pipeline says which") {
  config::Pipeline pipeline = full();
  auto sink = [&](const char* path) { return changed_pipeline(pipeline, {"/s", "/d", path, false})->sink; };
  CHECK(sink("/o/x.zst").level == 5);
  CHECK(sink("/o/x.jsonl").compression == config::Compression::kNone);
  CHECK(sink("/o/x.gz").compression == config::Compression::kGzip);
  CHECK(sink("/o/x.gz").level == 6);
  pipeline.sink.by_name = false;
  CHECK(sink("/o/x.jsonl").compression == config::Compression::kZstd);
  CHECK(sink("/o/x.jsonl").level == 5);
}

TEST_CASE("a sink that does not fit is refused, with what is wrong") {
  for (const char* sink : {"/o/{n}.jsonl", "/o/{x}.jsonl", "/s", "/d"}) {
    CAPTURE(sink);
    auto refused = changed_pipeline(full(), {"/s", "/d", sink, false});
    REQUIRE_FALSE(refused);
    CHECK(refused.error().exit_code == kExitConfig);
    CHECK(refused.error().text.find(".path: ") != std::string::npos);
  }
}
