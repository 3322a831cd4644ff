#include <doctest/doctest.h>

#include <filesystem>

#include "config/glob.h"
#include "help.h"

using namespace leat::config;
using namespace leat::config::test;
using Op = Predicate::Op;
using SOp = Step::Op;

namespace {
Predicate keep(const std::string& predicate) {
  const Pipeline pipeline = good_after_head("filter:\n  keep:\n    - " + predicate + "\n");
  REQUIRE(pipeline.filter.keep.size() == 1);
  return pipeline.filter.keep[0];
}
Step step(const std::string& text) {
  const Pipeline pipeline = good_after_head("process:\n  steps:\n    - " + text + "\n");
  REQUIRE(pipeline.process.steps.size() == 1);
  return pipeline.process.steps[0];
}
}  // namespace

TEST_CASE("four keys are enough, the rest has defaults") {
  const Pipeline pipeline = good(kHead);
  CHECK(pipeline.name == "t");
  CHECK(pipeline.file == "/etc/leat/p.yaml");
  CHECK(pipeline.base_dir == "/etc/leat");
  CHECK(pipeline.source.paths == std::vector<std::string>{"/in/*.jsonl"});
  CHECK(pipeline.source.compression == Compression::kAuto);
  CHECK(pipeline.source.max_record_bytes == 16 * kMiB);
  CHECK(pipeline.process.workers == Workers{1, 1});
  CHECK_FALSE(pipeline.has_processors());
  CHECK(pipeline.sink.compression == Compression::kNone);
  CHECK(pipeline.dead_letter_path.empty());
  CHECK(pipeline.limits.memory_bytes == 64 * kMiB);
}

TEST_CASE("every key reaches its field") {
  const Pipeline pipeline = good(R"(
version: 1
name: all-keys-2
source:
  paths: [in/../a/*.jsonl, /b/**]
  compression: zstd
  poll: 20ms
  settle: 0s
  growing: false
  require_mount: /mnt/nas/
  give_up: 90s
  max_record: 2MB
  after: {move: done/}
filter: {workers: 2}
process: {workers: 8, timeout: 1h}
sink:
  path: out/{stem}-{n}-{date}.gz
  compression: zstd
  level: -7
  threads: 3
  rotate: {bytes: 1GiB, idle: 90s}
  require_mount: /srv
dead_letter: {path: ../dead.jsonl}
limits:
  memory: 1GiB
  batch: 4096
  commit: {interval: 2s, bytes: 5MiB}
  zstd_window: 128MiB
)");
  CHECK(pipeline.source.paths == std::vector<std::string>{"/etc/leat/a/*.jsonl", "/b/**"});
  CHECK(pipeline.source.compression == Compression::kZstd);
  CHECK(pipeline.source.poll.count() == 20);
  CHECK(pipeline.source.settle.count() == 0);
  CHECK(pipeline.source.require_mount == "/mnt/nas");
  CHECK(pipeline.source.give_up == std::chrono::seconds(90));
  CHECK(pipeline.source.max_record_bytes == 2'000'000);
  CHECK(pipeline.source.after == "move:/etc/leat/done");
  CHECK(pipeline.filter.workers == 2);
  CHECK(pipeline.process.workers == Workers{8, 8});
  CHECK(pipeline.process.timeout == std::chrono::hours(1));
  CHECK(pipeline.sink.path == "/etc/leat/out/{stem}-{n}-{date}.gz");
  CHECK(pipeline.sink.compression == Compression::kZstd);
  CHECK(pipeline.sink.level == -7);
  CHECK(pipeline.sink.threads == 3);
  CHECK(pipeline.sink.rotate.bytes == kGiB);
  CHECK(pipeline.sink.rotate.idle.count() == 90'000);
  CHECK(pipeline.sink.require_mount == "/srv");
  CHECK(pipeline.dead_letter_path == "/etc/dead.jsonl");
  CHECK(pipeline.limits.memory_bytes == kGiB);
  CHECK(pipeline.limits.batch_bytes == 4096);
  CHECK(pipeline.limits.commit_interval.count() == 2000);
  CHECK(pipeline.limits.commit_bytes == 5 * kMiB);
  CHECK(pipeline.limits.zstd_window_bytes == 128 * kMiB);
}

TEST_CASE("what becomes of sources, and growing ones") {
  const auto source = [](const std::string& keys) {
    return good("version: 1\nname: t\nsource: {paths: [/in/*], " + keys + "}\nsink: {path: /o/a}\n").source;
  };
  CHECK(source("poll: 1s").after.empty());
  CHECK(source("poll: 1s").give_up == std::chrono::minutes(10));
  CHECK(source("after: keep").after.empty());
  CHECK(source("after: delete").after == "delete");
  CHECK(source("after: {move: /done}").after == "move:/done");
  CHECK_FALSE(source("growing: false").growing);
  CHECK(source("growing: true").growing);
}

TEST_CASE("the sink's compression goes by its name and brings its default level") {
  const auto sink = [](const std::string& path) {
    return good("version: 1\nname: t\nsource: {paths: [/in/*]}\nsink: {path: " + path + "}\n").sink;
  };
  CHECK(sink("/o/a.zst").compression == Compression::kZstd);
  CHECK(sink("/o/a.zst").level == 3);
  CHECK(sink("/o/a.gz").compression == Compression::kGzip);
  CHECK(sink("/o/a.gz").level == 6);
  CHECK(sink("/o/a").compression == Compression::kNone);
}

TEST_CASE("workers are a number, a range, or auto: from one to the number of cores") {
  const auto workers = [](const std::string& text) {
    return good_after_head("process: {workers: " + text + "}\n").process.workers;
  };
  CHECK(workers("auto").min == 1);
  CHECK(workers("auto").max >= 1);
  CHECK(workers("auto").max <= 64);
  CHECK(workers("0") == Workers{0, 0});
  CHECK(workers("64") == Workers{64, 64});
  CHECK(workers("{min: 0, max: 8}") == Workers{0, 8});
  CHECK(workers("{max: 64}") == Workers{1, 64});
  CHECK(workers("{min: 2, max: 3}").automatic());
  CHECK_FALSE(workers("{min: 3, max: 3}").automatic());
  CHECK_FALSE(workers("3").automatic());
}

TEST_CASE("a section whose keys are all commented out is an empty one") {
  CHECK(problems_after_head("filter:\nprocess:\nlimits:\n").empty());
}

TEST_CASE("unquoted scalars have JSON's types, quoted ones are strings") {
  const auto values =
      keep("{field: /a, in: [1, -0.5e3, true, null, ~, '1', \"true\", abc, 1.2.3, 10.0.0.1, yes]}").values;
  using Type = Literal::Type;
  const Type types[] = {Type::kNumber, Type::kNumber, Type::kBool,   Type::kNull,
                        Type::kNull,   Type::kString, Type::kString, Type::kString,
                        Type::kString, Type::kString, Type::kString};
  REQUIRE(values.size() == std::size(types));
  for (std::size_t i = 0; i < values.size(); ++i) CHECK(values[i].type == types[i]);
  CHECK(values[1].text == "-0.5e3");
  CHECK(values[2].boolean);
  CHECK(values[5].text == "1");
}

TEST_CASE("every operator becomes its predicate") {
  CHECK(keep("{field: /a, exists: true}").op == Op::kExists);
  CHECK(keep("{field: /a, exists: false}").op == Op::kMissing);
  CHECK(keep("{field: /a, missing: true}").op == Op::kMissing);
  CHECK(keep("{field: /a, eq: null}").op == Op::kEq);
  CHECK(keep("{field: /a, ne: 1}").op == Op::kNe);
  CHECK(keep("{field: /a, lt: 1}").op == Op::kLt);
  CHECK(keep("{field: /a, le: b}").op == Op::kLe);
  CHECK(keep("{field: /a, gt: 1}").op == Op::kGt);
  CHECK(keep("{field: /a, ge: 1}").op == Op::kGe);
  CHECK(keep("{field: /a, not_in: [1]}").op == Op::kNotIn);
  CHECK(keep("{field: /a, in_file: x.txt}").text == "/etc/leat/x.txt");
  CHECK(keep("{field: /a, not_in_file: /x.txt}").op == Op::kNotInFile);
  CHECK(keep("{field: /a, contains: x}").op == Op::kContains);
  CHECK(keep("{field: /a, starts_with: x}").op == Op::kStartsWith);
  CHECK(keep("{field: /a, matches: 'a|b'}").text == "a|b");
  CHECK(keep("{field: /a, type: null}").text == "null");
  CHECK(keep("{field: '', type: object}").field.empty());
  CHECK(keep("{field: /a, min_length: 3}").length == 3);
  CHECK(keep("{field: /a, max_length: 0}").op == Op::kMaxLength);
}

TEST_CASE("several operators on one field must all hold") {
  const Predicate both = keep("{field: /score, gt: 0.2, lt: 0.5}");
  CHECK(both.op == Op::kAll);
  REQUIRE(both.children.size() == 2);
  CHECK(both.children[0].op == Op::kGt);
  CHECK(both.children[0].values[0].text == "0.2");
  CHECK(both.children[1].op == Op::kLt);
  CHECK(both.children[1].field.text() == "/score");
  CHECK(both.where.line == 7);
  CHECK(both.where.column == 7);
}

TEST_CASE("all, any and not nest") {
  const Predicate any = keep("any: [{field: /a, eq: 1}, {not: {all: [{field: /b, eq: 2}]}}]");
  CHECK(any.op == Op::kAny);
  REQUIRE(any.children.size() == 2);
  CHECK(any.children[1].op == Op::kNot);
  REQUIRE(any.children[1].children.size() == 1);
  CHECK(any.children[1].children[0].op == Op::kAll);
}

TEST_CASE("every step is read") {
  CHECK(step("drop: /a").pointers.size() == 1);
  CHECK(step("keep: [/a, /b/c]").pointers[1].text() == "/b/c");
  CHECK(step("rename: {/a: /b, /c: /d}").moves[1].second.text() == "/d");
  CHECK(step("copy: {/a: /a/b}").op == SOp::kCopy);
  CHECK(step("length: {from: /a, to: /n}").to.text() == "/n");
  const Step hash = step("hash: {from: /a, to: /h, algorithm: sha256}");
  CHECK(hash.algorithm == HashAlgorithm::kSha256);
  CHECK(step("hash: {from: /a, to: /h}").algorithm == HashAlgorithm::kXxh64);
  const Step truncate = step("truncate: {field: /a, to: 1000}");
  CHECK(truncate.from.text() == "/a");
  CHECK(truncate.length == 1000);
  const Step replace = step(R"(replace: {field: /a, pattern: '(\d+)', with: '<\1>'})");
  CHECK(replace.pattern == R"((\d+))");
  CHECK(replace.with == R"(<\1>)");
  const Step exec = step("exec: {command: [python3, x.py], timeout: 2s}");
  CHECK(exec.command == std::vector<std::string>{"python3", "x.py"});
  CHECK(exec.timeout.count() == 2000);
  CHECK(step("exec: {command: [cat]}").timeout.count() == 30'000);
}

TEST_CASE("what the program of an exec step is given and may do") {
  const Step plain = step("exec: {command: [cat]}");
  CHECK((plain.environment.empty() && plain.write.empty() && plain.memory_bytes == 0 &&
         plain.processes == 512));
  CHECK((!plain.unix_sockets && !plain.file_attributes));
  const Step exec = step(
      "exec: {command: [cat], env: [TOKEN, {MODEL: a b}], write: [cache, /srv/x/], memory: 1GiB, processes: "
      "9, "
      "allow: [file_attributes, unix_sockets]}");
  REQUIRE(exec.environment.size() == 2);
  CHECK((exec.environment[0].name == "TOKEN" && !exec.environment[0].value));
  CHECK((exec.environment[1].name == "MODEL" && exec.environment[1].value == "a b"));
  REQUIRE(exec.write.size() == 2);
  CHECK(exec.write[0].ends_with("/cache"));
  CHECK(exec.write[1] == "/srv/x");
  CHECK((exec.memory_bytes == kGiB && exec.processes == 9 && exec.unix_sockets && exec.file_attributes));
}

TEST_CASE("the values of set and default become compact JSON") {
  const Step set =
      step("set: {/a: {x: [1, 2.50, null, true], 'y z': \"q\\\"\\n\"}, /b: '1', /c: 1e3, /d: [], /e: {}}");
  REQUIRE(set.values.size() == 5);
  CHECK(set.values[0].second == R"({"x":[1,2.50,null,true],"y z":"q\"\n"})");
  CHECK(set.values[1].second == "\"1\"");
  CHECK(set.values[2].second == "1e3");
  CHECK(set.values[3].second == "[]");
  CHECK(set.values[4].second == "{}");
  CHECK(step("default: {/a: text}").values[0].second == "\"text\"");
}

TEST_CASE("anchors and aliases are values like others") {
  const Pipeline pipeline =
      good_after_head("filter:\n  keep:\n    - {field: /a, in: &l [x, y]}\n    - {field: /b, in: *l}\n");
  CHECK(pipeline.filter.keep[1].values[1].text == "y");
}

TEST_CASE("Windows line ends and a byte order mark do no harm") {
  CHECK(problems(
            "\xEF\xBB\xBFversion: 1\r\nname: t\r\nsource:\r\n  paths: [/in/*]\r\nsink:\r\n  path: /o/a\r\n")
            .empty());
}

TEST_CASE("every shipped example parses and its outputs are not its inputs") {
  int examples = 0;
  for (const auto& entry : std::filesystem::directory_iterator(LEAT_SOURCE_DIR "/config/examples")) {
    if (entry.path().extension() != ".yaml") continue;
    ++examples;
    const Parsed parsed = load_pipeline(entry.path().string());
    for (const Problem& problem : parsed.problems) FAIL_CHECK(to_string(problem));
    CHECK(entry.path().stem().string() == parsed.pipeline.name);
  }
  CHECK(examples >= 4);
}
