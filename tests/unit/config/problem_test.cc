// What a user sees for each mistake, word for word: place, key, what was expected, what came.
#include <doctest/doctest.h>

#include "help.h"

using namespace leat::config;
using namespace leat::config::test;

namespace {

struct Case {
  const char* text;  // behind the four lines of kHead
  const char* problem;
};

void check_all(std::initializer_list<Case> cases) {
  for (const Case& c : cases) {
    CAPTURE(c.text);
    CHECK(problems_after_head(c.text) == c.problem);
  }
}

std::string problems_of(const std::string& more) {
  return problems("version: 1\nname: t\nsource: {paths: [/in/*.jsonl]}\nsink: {path: /o}\n" + more);
}

std::string with_sink(const std::string& sink) {
  return problems("version: 1\nname: t\nsource: {paths: [/in/*.jsonl]}\nsink: " + sink + "\n");
}

}  // namespace

TEST_CASE("unknown keys are named with the nearest known one") {
  check_all({
      {"sinks: 1\n", "5:1: sinks: unknown key (did you mean \"sink\"?)"},
      {"process:\n  worker: 2\n", "6:3: process.worker: unknown key (did you mean \"workers\"?)"},
      {"limits: {commit: {every: 1s}}\n",
       "5:19: limits.commit.every: unknown key; known here: interval, bytes"},
      {"filter:\n  keep:\n    - {feild: /a, eq: 1}\n",
       "7:7: filter.keep[0]: the key field is missing: it takes a JSON Pointer such as /score\n"
       "7:8: filter.keep[0].feild: unknown key (did you mean \"field\"?)"},
      {"filter:\n  keep:\n    - {field: /a, is_equal_to: 1}\n",
       "7:19: filter.keep[0].is_equal_to: unknown key; known here: field, exists, missing, eq, ne, lt, le, "
       "gt, "
       "ge, in, "
       "not_in, in_file, not_in_file, contains, starts_with, matches, type, min_length, max_length, all, "
       "any, not"},
      {"process: {steps: [{renam: {/a: /b}}]}\n",
       "5:20: process.steps[0].renam: unknown key (did you mean \"rename\"?)"},
  });
}

TEST_CASE("keys of later versions are refused, never ignored") {
  check_all({
      {"tests: []\n", "5:1: tests: not supported yet by this version of leat: remove the key"},
      {"process: {steps: [{lua: x}]}\n",
       "5:20: process.steps[0].lua: not supported yet by this version of leat: remove the key"},
      {"process: {steps: [{plugin: x}]}\n",
       "5:20: process.steps[0].plugin: not supported yet by this version of leat: remove the key"},
      {"filter: {keep: [{field: /a, schema: s.json, exists: true}]}\n",
       "5:29: filter.keep[0].schema: not supported yet by this version of leat: remove the key"},
  });
}

TEST_CASE("a source is moved to a folder that is not read, and only when it can be finished") {
  const auto source = [](const std::string& keys) {
    return problems("version: 1\nname: t\nsource: {paths: [/in/**/*.jsonl], " + keys +
                    "}\nsink: {path: /o/a}\n");
  };
  CHECK(source("after: away") == "3:42: source.after: expected keep, delete or {move: FOLDER}, got \"away\"");
  CHECK(
      source("after: {}") ==
      "3:42: source.after: the key move is missing: it takes the folder that finished sources are moved to");
  CHECK(
      source("after: {mve: /d}") ==
      "3:42: source.after: the key move is missing: it takes the folder that finished sources are moved to\n"
      "3:43: source.after.mve: unknown key (did you mean \"move\"?)");
  CHECK(source("after: {move: /in/done}") ==
        "3:42: source.after: \"/in/done/x.jsonl\" would be read again: it matches the source "
        "\"/in/**/*.jsonl\"; "
        "move to another folder, or name the sources more closely");
  CHECK(source("after: {move: /done}").empty());
  CHECK(source("growing: true, after: delete") ==
        "3:57: source.after: a source that is growing is never finished: remove source.growing or "
        "source.after");
  CHECK(source("give_up: 0s") == "3:44: source.give_up: expected a duration from 1ms to 30d, got \"0s\"");
}

TEST_CASE("a key that stands twice is an error at its second place") {
  check_all({
      {"limits: {batch: 8KiB, batch: 4KiB}\n",
       "5:23: limits.batch: the key stands here twice: which one counts?"},
      {"name: u\n", "5:1: name: the key stands here twice: which one counts?"},
      {"process: {steps: [{set: {/a: {b: 1, 'b': 2}}}]}\n",
       "5:37: process.steps[0].set./a.b: the key stands here twice: which one counts?"},
  });
}

TEST_CASE("required keys that are missing are all named") {
  CHECK(problems("filter: {}\n") ==
        "1:1: the key version is missing: it takes 1\n"
        "1:1: the key name is missing: it takes a short name for the pipeline such as reviews\n"
        "1:1: the key source is missing: it takes paths and how to read them\n"
        "1:1: the key sink is missing: it takes the path to write to");
  CHECK(problems("version: 1\nname: t\nsource: {poll: 1s}\nsink: {level: 3}\n") ==
        "3:9: source: the key paths is missing: it takes a list of globs such as [/mnt/nas/in/**/*.jsonl]\n"
        "4:7: sink: the key path is missing: it takes the file to write such as out/reviews.jsonl.zst");
}

TEST_CASE("a wrong version, name or source path") {
  CHECK(
      problems("version: 2\nname: My Name\nsource: {paths: []}\nsink: {path: out/}\n") ==
      "1:10: version: expected 1, the only version of pipeline files this leat knows, got the number 2\n"
      "2:7: name: expected 1 to 32 of a-z, 0-9 and -, got \"My Name\"\n"
      "3:17: source.paths: expected at least one of globs such as /mnt/nas/in/**/*.jsonl, got an empty list\n"
      "4:14: sink.path: expected a file, not a folder, got \"out/\"");
  CHECK(problems("version: '1'\nname: 7\nsource: {paths: /in/*}\nsink: {path: ~/x}\n") ==
        "1:10: version: expected 1, the only version of pipeline files this leat knows, got \"1\"\n"
        "2:7: name: expected a name, got the number 7; put it in quotes: '7'\n"
        "3:17: source.paths: expected a list of globs such as /mnt/nas/in/**/*.jsonl, got \"/in/*\"; put it "
        "in [ ]\n"
        "4:14: sink.path: expected a path, got \"~/x\"; ~ is not replaced here: write ${HOME}, or the path");
  CHECK(problems(
            "version: 1\nname: t\nsource: {paths: ['/in/[a', ''], require_mount: nas}\nsink: {path: /o}\n") ==
        "3:18: source.paths[0]: in \"/in/[a\" a [ has no ] in the same name (a literal one is written [[])\n"
        "3:28: source.paths[1]: expected a path, got \"\"\n"
        "3:48: source.require_mount: expected the absolute path of a mount point such as /mnt/nas, got "
        "\"nas\"");
}

TEST_CASE("what other tools call it is named with our word, not with the nearest") {
  const auto keep = [](const std::string& key) { return "filter: {keep: [{field: /a, " + key + ": 1}]}\n"; };
  for (auto [other, ours] :
       {std::pair("gte", "ge"), {"lte", "le"}, {"regex", "matches"}, {"equals", "eq"}, {"neq", "ne"}}) {
    CAPTURE(other);
    CHECK(problems_of(keep(other)).find(std::string("(did you mean \"") + ours + "\"?)") !=
          std::string::npos);
  }
  CHECK(problems_of("process: {steps: [{delete: /a}]}\n").find("(did you mean \"drop\"?)") !=
        std::string::npos);
  CHECK(with_sink("{path: /o, compression: gz}").find("(did you mean \"gzip\"?)") != std::string::npos);
}

TEST_CASE("a field in the words of other tools is named as a pointer") {
  for (auto [other, ours] : {std::pair("meta.host", "/meta/host"),
                             {"$.meta.host", "/meta/host"},
                             {".tags[0]", "/tags/0"},
                             {"host", "/host"},
                             {"$.a['b']", "/a/b"}}) {
    CAPTURE(other);
    const std::string text =
        problems_of("filter: {keep: [{field: \"" + std::string(other) + "\", eq: 1}]}\n");
    CHECK(text.find(std::string("(did you mean \"") + ours + "\"?)") != std::string::npos);
  }
}

TEST_CASE("a group is \\1 and not $1, where there is a group") {
  const auto replace = [](const std::string& pattern, const std::string& with) {
    return problems_of("process: {steps: [{replace: {field: /t, pattern: '" + pattern + "', with: '" + with +
                       "'}}]}\n");
  };
  CHECK(replace("(a)", "$1").find("the group is \\1") != std::string::npos);
  CHECK(replace("(a)(b)", "x$2").find("the group is \\2") != std::string::npos);
  for (const char* good : {"$2", "$", "$x", "\\1$"}) CHECK(replace("(a)", good).empty());
  CHECK(replace("a", "$1").empty());
}

TEST_CASE("what a shell would replace is said, and - is neither stdin nor stdout") {
  const auto sink = [](const std::string& path) { return with_sink("{path: '" + path + "'}"); };
  CHECK(sink("$HOME/out") == "4:14: sink.path: expected a path, got \"$HOME/out\"; write ${HOME} for $HOME");
  CHECK(sink("~ada/x") ==
        "4:14: sink.path: expected a path, got \"~ada/x\"; ~ada is not replaced here: write ${HOME}, or the "
        "path");
  CHECK(sink("-") ==
        "4:14: sink.path: expected a path, got \"-\"; - is no stdin or stdout here: name a file, or "
        "/dev/stdout");
  for (const char* name : {"/o/a$b", "/o/$1", "/o/a~", "./-", "/o/US$", "/o/$"}) CHECK(sink(name).empty());
}

TEST_CASE("variables of the environment and first lines of files are put into paths") {
  const auto sink = [](const std::string& path) { return with_sink("{path: '" + path + "'}"); };
  ::setenv("LEAT_TEST_NAS", "/mnt/nas", 1);
  ::unsetenv("LEAT_TEST_NONE");
  const std::string good =
      "version: 1\nname: t\nsource: {paths: ['${LEAT_TEST_NAS}/in/*.jsonl']}\nsink: {path: "
      "'/o/${LEAT_TEST_NAS}x'}\n";
  const Pipeline pipeline = test::good(good);
  CHECK(pipeline.source.paths == std::vector<std::string>{"/mnt/nas/in/*.jsonl"});
  CHECK(pipeline.sink.path == "/o/mnt/nasx");
  ::setenv("LEAT_TEST_NAME", "old", 1);
  CHECK(test::good("version: 1\nname: t\nsource: {paths: [/in/*], exclude: ['${LEAT_TEST_NAME}.*', "
                   "'${LEAT_TEST_NAS}/x']}\nsink: {path: /o/x}\n")
            .source.exclude == std::vector<std::string>{"old.*", "/mnt/nas/x"});
  ::unsetenv("LEAT_TEST_NAME");
  CHECK(sink("/o/${LEAT_TEST_NONE}").find("${LEAT_TEST_NONE} is not set in the environment") !=
        std::string::npos);
  CHECK(sink("/o/${LEAT_TEST_NAS").find("has no }") != std::string::npos);
  CHECK(sink("/o/${a b}").find("is no name of a variable") != std::string::npos);
  CHECK(sink("/o/${file:/nowhere/x}").find("cannot be read: No such file") != std::string::npos);
  CHECK(sink("/o/${file:" LEAT_SOURCE_DIR "/LICENSE}").empty());
  ::unsetenv("LEAT_TEST_NAS");
}

TEST_CASE("what is no file of this machine is named") {
  const auto source = [](const std::string& path) {
    return problems("version: 1\nname: t\nsource: {paths: ['" + path + "']}\nsink: {path: /o}\n");
  };
  CHECK(source("s3://bucket/x.jsonl").find("mount what s3:// leads to") != std::string::npos);
  CHECK(source("smb://nas/share/*.jsonl").find("mount what smb:// leads to") != std::string::npos);
  CHECK(source("C:\\data\\*.jsonl").find("a path of Windows") != std::string::npos);
  CHECK(source("!in/bad.jsonl").find("source.exclude") != std::string::npos);
  CHECK(source("in/{de,en}/*.jsonl").find("a glob for each") != std::string::npos);
  for (const char* good : {"/in/a{b}.jsonl", "/in/a,b.jsonl", "/in/[!a].jsonl"}) CHECK(source(good).empty());
}

TEST_CASE("sizes and durations say what was probably meant") {
  check_all({
      {"limits: {memory: 64mb}\n",
       "5:18: limits.memory: expected a size such as 16MiB (units B KiB MiB GiB KB MB GB), got \"64mb\"; did "
       "you mean "
       "64MB?"},
      {"limits: {memory: 64M}\n",
       "5:18: limits.memory: expected a size such as 16MiB (units B KiB MiB GiB KB MB GB), got \"64M\"; did "
       "you mean "
       "64MiB?"},
      {"limits: {memory: [64MiB]}\n",
       "5:18: limits.memory: expected a size such as 16MiB (units B KiB MiB GiB KB MB GB), got a list"},
      {"limits: {memory: 8MiB}\n",
       "5:18: limits.memory: expected a size from 16MiB to 1024GiB, got \"8MiB\""},
      {"limits: {batch: 2MiB}\n", "5:17: limits.batch: expected a size from 4KiB to 1MiB, got \"2MiB\""},
      {"process: {timeout: 5}\n",
       "5:20: process.timeout: expected a duration such as 10s (units ms s m h d), got the number 5; did you "
       "mean 5s?"},
      {"process: {timeout: 5min}\n",
       "5:20: process.timeout: expected a duration such as 10s (units ms s m h d), got \"5min\"; did you "
       "mean 5m?"},
      {"process: {timeout: 0s}\n", "5:20: process.timeout: expected a duration from 1ms to 30d, got \"0s\""},
  });
}

TEST_CASE("numbers out of their range and of the wrong kind") {
  check_all({
      {"process: {workers: 65}\n",
       "5:20: process.workers: expected a whole number from 0 to 64, got the number 65"},
      {"process: {workers: -1}\n",
       "5:20: process.workers: expected a whole number from 0 to 64, got the number -1"},
      {"process: {workers: '4'}\n",
       "5:20: process.workers: expected a whole number from 0 to 64, auto or {min: 1, max: 8}, got \"4\""},
      {"process: {workers: [1, 8]}\n",
       "5:20: process.workers: expected a whole number from 0 to 64, auto or {min: 1, max: 8}, got a list"},
      {"filter: {workers: 1.5}\n",
       "5:19: filter.workers: expected a whole number from 1 to 16, got the number 1.5"},
      {"filter: {workers: 0x2}\n", "5:19: filter.workers: expected a whole number from 1 to 16, got 0x2"},
      {"filter: [a]\n", "5:9: filter: expected a mapping with workers, keep, got a list"},
  });
}

TEST_CASE("a range of workers that is none") {
  check_all({
      {"process:\n  workers:\n    min: 4\n    max: 2\n",
       "7:10: process.workers.min: 4 is more than max, which is 2"},
      {"process: {workers: {min: 4}}\n",
       "5:20: process.workers: the key max is missing: it takes the most processors to start"},
      {"process: {workers: {min: 0, max: 0}}\n",
       "5:34: process.workers.max: expected a whole number from 1 to 64, got the number 0"},
      {"process: {workers: {min: -1, max: 65}}\n",
       "5:26: process.workers.min: expected a whole number from 0 to 64, got the number -1\n"
       "5:35: process.workers.max: expected a whole number from 1 to 64, got the number 65"},
      {"process: {workers: {min: 1, maxi: 8, max: auto}}\n",
       "5:29: process.workers.maxi: unknown key (did you mean \"max\"?)\n"
       "5:43: process.workers.max: expected a whole number from 1 to 64, got \"auto\""},
  });
}

TEST_CASE("predicates that are not whole or of the wrong type") {
  const auto keep = [](const std::string& predicate) {
    return problems_after_head("filter:\n  keep:\n    - " + predicate + "\n");
  };
  CHECK(keep("{field: /a}") ==
        "7:7: filter.keep[0]: an operator is missing: write for example {field: /score, lt: 0.5}");
  CHECK(keep("{lt: 1}") ==
        "7:7: filter.keep[0]: the key field is missing: it takes a JSON Pointer such as /score");
  CHECK(keep("{field: score, lt: 1}") ==
        "7:15: filter.keep[0].field: expected a JSON Pointer, which begins with "
        "'/', got \"score\" (did you mean \"/score\"?)");
  CHECK(keep("{field: /a, lt: [1]}") == "7:23: filter.keep[0].lt: expected a number or a string, got a list");
  CHECK(keep("{field: /a, lt: true}") == "7:23: filter.keep[0].lt: expected a number or a string, got true");
  CHECK(keep("{field: /a, lt: .inf}") ==
        "7:23: filter.keep[0].lt: expected a number or a string, got .inf; write numbers as JSON has them "
        "(16, -2, "
        "0.5, 1e6)");
  CHECK(keep("{field: /a, eq: {b: 1}}") ==
        "7:23: filter.keep[0].eq: expected a string, a number, true, false or null, got a mapping");
  CHECK(keep("{field: /a, in: x}") ==
        "7:23: filter.keep[0].in: expected a list of strings or numbers, got \"x\"; put it in [ ]");
  CHECK(keep("{field: /a, in: []}") ==
        "7:23: filter.keep[0].in: expected at least one of strings or numbers, got an empty list");
  CHECK(keep("{field: /a, contains: 5}") ==
        "7:29: filter.keep[0].contains: expected a string, got the number 5; put it in quotes: '5'");
  CHECK(keep("{field: /a, exists: yes}") ==
        "7:27: filter.keep[0].exists: expected true or false, got \"yes\"");
  CHECK(
      keep("{field: /a, type: int}") ==
      "7:25: filter.keep[0].type: expected one of null, boolean, number, integer, string, array, object, got "
      "\"int\"");
  CHECK(
      keep("{field: /a, type: interger}") ==
      "7:25: filter.keep[0].type: expected one of null, boolean, number, integer, string, array, object, got "
      "\"interger\" (did you mean \"integer\"?)");
  CHECK(keep("{field: /a, min_length: -1}") ==
        "7:31: filter.keep[0].min_length: expected a whole number from 0 to 9223372036854775807, got the "
        "number -1");
  CHECK(keep("{field: /a, matches: 'a('}") ==
        "7:28: filter.keep[0].matches: expected a regular expression (RE2), got \"a(\": missing ): a(");
  CHECK(keep("{all: [{field: /a, eq: 1}], any: []}") ==
        "7:8: filter.keep[0].all: all stands alone in its mapping");
  CHECK(keep("any: []") ==
        "7:12: filter.keep[0].any: expected at least one of predicates, got an empty list");
  CHECK(keep("just text").starts_with("7:7: filter.keep[0]: expected a mapping with field, exists"));
  CHECK(problems_after_head("filter: {keep: {field: /a, eq: 1}}\n") ==
        "5:16: filter.keep: expected a list of predicates, got a mapping; begin each one with \"- \"");
}

TEST_CASE("numbers that YAML and JSON see differently are refused with what to write") {
  for (const char* odd :
       {"0x10", "0o17", "1_000", "+1", "007", ".5", "1.", ".inf", "-.INF", ".nan", "True", "FALSE"}) {
    CAPTURE(odd);
    CHECK(problems_after_head("filter: {keep: [{field: /a, eq: " + std::string(odd) + "}]}\n") ==
          "5:33: filter.keep[0].eq: expected a string, a number, true, false or null, got " +
              std::string(odd) +
              "; write numbers as JSON has them (16, -2, 0.5, 1e6) and true, false in small letters; put it "
              "in quotes "
              "if it is text");
  }
}

TEST_CASE("steps that are not whole or of the wrong type") {
  const auto step = [](const std::string& text) {
    return problems_after_head("process:\n  steps:\n    - " + text + "\n");
  };
  CHECK(step("exec: {command: python3 x.py}") ==
        "7:23: process.steps[0].exec.command: expected a list of the program and its arguments, such as "
        "[python3, "
        "enrich.py], got \"python3 x.py\"; put it in [ ]");
  CHECK(step("exec: {command: [sleep, 5]}") ==
        "7:31: process.steps[0].exec.command[1]: expected a string, got the number 5; put it in quotes: '5'");
  CHECK(step("exec: {command: [a], env: [A B]}") ==
        "7:34: process.steps[0].exec.env[0]: expected the name of a variable, or NAME: value, got \"A B\"");
  CHECK(step("exec: {command: [a], env: [{A: 1}]}")
            .starts_with("7:38: process.steps[0].exec.env[0].A: expected a string, got the number 1"));
  CHECK(step("exec: {command: [a], allow: [network]}")
            .starts_with(
                "7:36: process.steps[0].exec.allow[0]: expected one of unix_sockets, file_attributes"));
  CHECK(
      step("exec: {command: [a], wirte: [b]}").starts_with("7:28: process.steps[0].exec.wirte: unknown key"));
  CHECK(step("exec: {timeout: 1s}") ==
        "7:13: process.steps[0].exec: the key command is missing: it takes a list such "
        "as [python3, enrich.py]");
  CHECK(step("drop: ''") ==
        "7:13: process.steps[0].drop: expected a JSON Pointer to a field such as /meta/host, got "
        "\"\", which is the whole record");
  CHECK(step("rename: {a: /b}") ==
        "7:16: process.steps[0].rename.a: expected a JSON Pointer, which begins with '/', "
        "got \"a\" (did you mean \"/a\"?)");
  CHECK(step("rename: {/a: /a/b}") ==
        "7:20: process.steps[0].rename./a: a field cannot be moved into itself: /a/b lies within /a");
  CHECK(step("set: [/a]") ==
        "7:12: process.steps[0].set: expected a mapping such as {/kind: document}, got a list");
  CHECK(
      step("set: {/a: [0x10]}") ==
      "7:18: process.steps[0].set./a[0]: expected a string, a number, true, false or null, got 0x10; write "
      "numbers "
      "as JSON has them (16, -2, 0.5, 1e6) and true, false in small letters; put it in quotes if it is text");
  CHECK(step("truncate: {field: /a, to: -1}") ==
        "7:33: process.steps[0].truncate.to: expected a whole number from 0 to 9223372036854775807, got the "
        "number -1");
  CHECK(step("replace: {field: /a, pattern: '[', with: x}")
            .starts_with("7:37: process.steps[0].replace.pattern: "
                         "expected a regular expression (RE2), got"));
  CHECK(step(R"(replace: {field: /a, pattern: 'a', with: '\1'})")
            .starts_with(R"(7:48: process.steps[0].replace.with: "\1" does not fit the pattern "a": )"));
  CHECK(step("hash: {from: /a, to: /b, algorithm: sha265}") ==
        "7:43: process.steps[0].hash.algorithm: expected one of xxh64, sha256, got \"sha265\" (did you mean "
        "\"sha256\"?)");
  CHECK(step("length: {from: /a}") ==
        "7:15: process.steps[0].length: the key to is missing: it takes a JSON Pointer such as /text");
  CHECK(step("drop: /a\n      keep: /b") ==
        "7:7: process.steps[0]: expected one step in a list item, got 2; begin each with \"- \"");
  CHECK(step("drop") == "7:7: process.steps[0]: expected a step such as drop: [/mtime], got \"drop\"");
}

TEST_CASE("the sink's path, placeholders and rotation fit together") {
  CHECK(with_sink("{path: '/o/{name}.jsonl'}") ==
        "4:14: sink.path: unknown placeholder \"{name}\" (did you mean \"{date}\"?); there are {stem}, "
        "{path}, {n}, "
        "{date}");
  CHECK(with_sink("{path: '/o/{stem.jsonl'}") ==
        "4:14: sink.path: in \"/o/{stem.jsonl\" a { has no partner: braces only stand around placeholders "
        "({stem}, "
        "{path}, {n}, {date})");
  CHECK(with_sink("{path: /o/a.jsonl, rotate: {idle: 1s}}") ==
        "4:14: sink.path: sink.rotate wants {n}, the number of the file, in the path: such as "
        "out/reviews-{n}.jsonl");
  CHECK(with_sink("{path: '/o/{n}.jsonl'}") ==
        "4:14: sink.path: {n} is the number of a rotated file and there is no sink.rotate: add it, or remove "
        "{n}");
  CHECK(with_sink("{path: '/o/{n}.jsonl', rotate: {}}") ==
        "4:38: sink.rotate: expected bytes or idle or both, such as {bytes: 1GiB, idle: 60s}");
  CHECK(with_sink("{path: {stem}}") ==
        "4:14: sink.path: expected a path, got a mapping; put text that holds { in quotes");
}

TEST_CASE("levels belong to their codec") {
  CHECK(with_sink("{path: /o/a.gz, level: 10}") ==
        "4:30: sink.level: expected a whole number from 1 to 9, got the number 10");
  CHECK(with_sink("{path: /o/a.zst, level: 23}") ==
        "4:31: sink.level: expected a whole number from -7 to 22, got the number 23");
  CHECK(with_sink("{path: /o/a.zst, level: 0}") ==
        "4:31: sink.level: expected a zstd level from 1 to 22 (small to "
        "high) or from -7 to -1 (fastest), got 0");
  CHECK(
      with_sink("{path: /o/a, compression: zst}") ==
      "4:33: sink.compression: expected one of auto, none, zstd, gzip, got \"zst\" (did you mean \"zstd\"?)");
}

TEST_CASE("an output that would be read as an input is refused") {
  CHECK(with_sink("{path: /in/a.jsonl}") ==
        "4:14: sink.path: \"/in/a.jsonl\" would be read as an input: it matches the source \"/in/*.jsonl\"; "
        "write to "
        "another folder, or name the sources more closely");
  CHECK(with_sink("{path: '/in/{stem}.clean.jsonl'}").find("\"/in/x.clean.jsonl\" would be read") !=
        std::string::npos);
  CHECK(with_sink("{path: /in/../in/./b.jsonl}").find("would be read as an input") != std::string::npos);
  CHECK(with_sink("{path: /in/x/a.jsonl}").empty());
  CHECK(problems("version: 1\nname: t\nsource: {paths: ['/in/raw-*.jsonl']}\nsink: {path: "
                 "'/in/{stem}.out.jsonl'}\n") != "");
  CHECK(problems_after_head("dead_letter: {path: /in/dead.jsonl}\n")
            .starts_with("5:21: dead_letter.path: \"/in/dead.jsonl\" would be read as an input"));
}

TEST_CASE("dead letters have one plain file of their own") {
  check_all({
      {"dead_letter: {path: /out/a.jsonl}\n",
       "5:21: dead_letter.path: the dead letters need a file of their own, this one is sink.path"},
      {"dead_letter: {path: '/out/{stem}.jsonl'}\n",
       "5:21: dead_letter.path: {stem} is for sink.path: dead letters are one file under its own name"},
      {"dead_letter: {path: /out/dead.zst}\n",
       "5:21: dead_letter.path: dead letters are written uncompressed: give the file a name such as "
       "dead.jsonl"},
  });
}

TEST_CASE("all problems come at once, in the order of the file") {
  CHECK(problems("nam: t\nversion: 1\nsink: {path: /o/a, levl: 1}\nsource: {paths: [/in/*], poll: 5}\n") ==
        "1:1: nam: unknown key (did you mean \"name\"?)\n"
        "1:1: the key name is missing: it takes a short name for the pipeline such as reviews\n"
        "3:20: sink.levl: unknown key (did you mean \"level\"?)\n"
        "4:32: source.poll: expected a duration such as 10s (units ms s m h d), got the number 5; did you "
        "mean 5s?");
}

TEST_CASE("a file that cannot be read is one problem") {
  const std::string none = "/nonexistent/p.yaml";
  REQUIRE(load_pipeline(none).problems.size() == 1);
  CHECK(to_string(load_pipeline(none).problems[0]) == none + ": cannot be read: No such file or directory");
  CHECK(to_string(load_pipeline("/").problems[0]) == "/: cannot be read: Is a directory");
}

TEST_CASE("files that grow and have an output each need {n}, as they are never finished") {
  const auto problems = [](const std::string& sink) {
    return parse("version: 1\nname: a\nsource: {paths: [/in/a], growing: true}\nsink: " + sink + "\n")
        .problems;
  };
  REQUIRE(problems("{path: '/o/{stem}.jsonl'}").size() == 1);
  CHECK(problems("{path: '/o/{stem}.jsonl'}")[0].text.find("put {n} into sink.path") != std::string::npos);
  CHECK(problems("{path: '/o/{stem}-{n}.jsonl', rotate: {idle: 1m}}").empty());
  CHECK(problems("{path: /o/all.jsonl}").empty());
}
