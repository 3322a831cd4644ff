#include "daemon/replay/pipeline_text.h"

#include <doctest/doctest.h>

#include "config/fingerprint.h"
#include "config/parse.h"

using namespace leat;
using namespace leat::replay;

namespace {

constexpr const char* kFull = R"(# all kinds of scalars
version: 1
name: "t"
source:
  paths: ['/in/**/*.jsonl']
  compression: zstd
  require_mount: /
  max_record: 4MiB
filter:
  keep:
    - {field: /a, eq: 5}
    - {field: /b, eq: "5"}
    - {field: /c, in: [yes, 'no', null, true, 1.50, -0, "", ~, 'it''s', "tab\tü\u00e9"]}
    - any: [{field: /d, matches: 'TODO: #x, [y]{2}'}, {not: {field: "", exists: true}}]
    - field: /e
      eq: >
        folded
        text

        and more
    - {field: /f, eq: a b: c}
process: &p
  workers: 2
  steps:
    - set: {/kind: {deep: [1, "x", {}, []]}, /"q": ' spaces '}
    - exec: {command: [sh, -c, "cat; echo '- x'"]}
sink: {path: '/out/{n}.jsonl.zst', rotate: {bytes: 1GiB}, level: 5}
limits: {memory: 96MiB}
)";

config::Pipeline parsed(const std::string& text) {
  config::Parsed parsed = config::parse_pipeline(text, "/etc/leat/p.yaml");
  CAPTURE(text);
  for (const auto& problem : parsed.problems) FAIL_CHECK(to_string(problem));
  return parsed.pipeline;
}

}  // namespace

TEST_CASE("a pipeline with other paths means the same in everything else") {
  std::string text = kFull;
  text.replace(text.find(" a b: c"), 7, " a b c");
  config::Pipeline before = parsed(text);
  auto changed = changed_pipeline(text, {"/state/r[1]*.jsonl", "/state/dead.jsonl", "", true});
  REQUIRE(changed);
  config::Pipeline after = parsed(*changed);
  CHECK(config::fingerprint(after) == config::fingerprint(before));
  CHECK(after.source.paths == std::vector<std::string>{"/state/r[[]1][*].jsonl"});
  CHECK(after.source.max_record_bytes == 4 * config::kMiB);
  CHECK(after.source.require_mount.empty());
  CHECK(after.source.compression == config::Compression::kAuto);
  CHECK(after.dead_letter_path == "/state/dead.jsonl");
  CHECK(after.sink.level == 5);
  CHECK(after.limits.memory_bytes == 96 * config::kMiB);
  CHECK(after.process.workers == config::Workers{2, 2});
  CHECK(after.name == "t");
}

TEST_CASE("another sink takes the rotation of the old one with it only when it has numbers") {
  std::string text = kFull;
  text.replace(text.find(" a b: c"), 7, " a b c");
  config::Pipeline numbered = parsed(*changed_pipeline(text, {"/s", "/d", "/o/x-{n}.jsonl", true}));
  CHECK(numbered.sink.path == "/o/x-{n}.jsonl");
  CHECK(numbered.sink.rotate.bytes == config::kGiB);
  CHECK(numbered.sink.compression == config::Compression::kNone);
  config::Pipeline single = parsed(*changed_pipeline(text, {"/s", "/d", "/o/x.jsonl.zst", false}));
  CHECK(single.sink.rotate.bytes == 0);
}

TEST_CASE("a pipeline written as JSON stays what it is") {
  std::string text =
      R"({"version":1,"name":"t","source":{"paths":["/in/a"]},"sink":{"path":"/out/{stem}.jsonl"},
          "process":{"workers":1,"steps":[{"set":{"/a":"x\ny","/b":1,"/c":"1","/d":null,"/e":"null"}}]}})";
  auto changed = changed_pipeline(text, {"/s", "/d", "", true});
  REQUIRE(changed);
  CHECK(config::fingerprint(parsed(*changed)) == config::fingerprint(parsed(text)));
}

TEST_CASE("a path that is no UTF-8 is refused") {
  auto refused = changed_pipeline(kFull, {"/s\xFF", "/d", "", true});
  REQUIRE_FALSE(refused);
  CHECK(refused.error().exit_code == kExitConfig);
}
