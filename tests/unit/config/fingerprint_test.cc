#include "config/fingerprint.h"

#include <doctest/doctest.h>

#include <set>

#include "tests/unit/config/help.h"

using namespace leat::config;
using namespace leat::config::test;

namespace {

std::uint64_t print_of(const std::string& text) {
  return fingerprint(good(text));
}

}  // namespace

TEST_CASE("whatever changes what is written changes the fingerprint") {
  std::set<std::uint64_t> seen;
  int count = 0;
  auto add = [&](const std::string& text) {
    CAPTURE(text);
    CHECK(seen.insert(print_of(text)).second);
    ++count;
  };
  add(kHead);
  for (const char* filter :
       {"{field: /a, eq: 1}", "{field: /a, eq: '1'}", "{field: /a, ne: 1}", "{field: /b, eq: 1}",
        "{field: /a, eq: 2}", "{field: /a, in: [1, 2]}", "{field: /a, in: [12]}", "{field: /a, exists: true}",
        "{field: /a, contains: x}", "{field: /a, min_length: 1}", "{field: /a, min_length: 2}",
        "{not: {field: /a, eq: 1}}", "{any: [{field: /a, eq: 1}, {field: /b, eq: 1}]}",
        "{all: [{field: /a, eq: 1}, {field: /b, eq: 1}]}"}) {
    add(kHead + "filter: {keep: [" + filter + "]}\n");
  }
  for (const char* step : {"drop: [/a]",
                           "drop: [/b]",
                           "drop: [/a, /b]",
                           "keep: [/a]",
                           "rename: {/a: /b}",
                           "rename: {/b: /a}",
                           "copy: {/a: /b}",
                           "set: {/a: 1}",
                           "set: {/a: 2}",
                           "default: {/a: 1}",
                           "length: {from: /a, to: /b}",
                           "hash: {from: /a, to: /b, algorithm: xxh64}",
                           "hash: {from: /a, to: /b, algorithm: sha256}",
                           "truncate: {field: /a, to: 3}",
                           "truncate: {field: /a, to: 4}",
                           "replace: {field: /a, pattern: x, with: y}",
                           "replace: {field: /a, pattern: x, with: z}",
                           "exec: {command: [a, b]}",
                           "exec: {command: [ab]}",
                           "exec: {command: [ab], env: [X]}",
                           "exec: {command: [ab], env: [{X: ''}]}",
                           "exec: {command: [ab], env: [{X: y}]}"}) {
    add(kHead + "process: {workers: 1, steps: [{" + step + "}]}\n");
  }
  std::string source = "version: 1\nname: t\nsource: {paths: [/in/*.jsonl]}\n";
  add(source + "sink: {path: /out/b.jsonl}\n");
  add(source + "sink: {path: /out/a.jsonl, compression: zstd}\n");
  add(source + "sink: {path: '/out/{stem}.jsonl'}\n");
  add(source + "sink: {path: '/out/{n}.jsonl', rotate: {bytes: 1GiB}}\n");
  add(source + "sink: {path: '/out/{n}.jsonl', rotate: {bytes: 2GiB}}\n");
  add(source + "sink: {path: '/out/{n}.jsonl', rotate: {idle: 1m}}\n");
  CHECK(count > 35);
}

TEST_CASE("what changes only how it is done leaves the fingerprint as it is") {
  std::string filter = "filter: {keep: [{field: /a, eq: 1}]}\n";
  std::string steps = "process: {workers: 1, steps: [{exec: {command: [a]}}]}\n";
  std::uint64_t before = print_of(kHead + filter + steps);
  for (const std::string& same : {
           "version: 1\nname: other\nsource: {paths: [/in/*.jsonl]}\nsink: {path: /out/a.jsonl}\n" + filter +
               steps,
           "version: 1\nname: t\nsource: {paths: [/x/*], max_record: 1MiB}\nsink: {path: /out/a.jsonl}\n" +
               filter + steps,
           "version: 1\nname: t\nsource: {paths: [/in/*]}\nsink: {path: /out/a.jsonl, level: 9}\n" + filter +
               steps,
           kHead + filter +
               "process: {workers: {min: 0, max: 7}, timeout: 1m, steps: [{exec: {command: [a], timeout: "
               "9s}}]}\n",
           kHead + filter +
               "process: {workers: 1, steps: [{exec: {command: [a], write: [b], memory: 1GiB, processes: 9, "
               "allow: [unix_sockets]}}]}\n",
           kHead + "filter: {workers: 2, keep: [{field: /a, eq: 1}]}\n" + steps,
           kHead + filter + steps + "dead_letter: {path: /out/dead.jsonl}\n",
           kHead + filter + steps + "limits: {memory: 128MiB}\n",
       }) {
    CAPTURE(same);
    CHECK(print_of(same) == before);
  }
}

TEST_CASE("layout, quotes and comments leave the fingerprint as it is") {
  std::uint64_t before = print_of(kHead + "filter: {keep: [{field: /a, eq: x}]}\n");
  CHECK(before == print_of("# a comment\nname: t\nversion: 1\nsink:\n  path: \"/out/a.jsonl\"\nsource:\n  "
                           "paths:\n    - /in/*.jsonl\n"
                           "filter:\n  keep:\n  - field: '/a'\n    eq: 'x'   # more\n"));
}
