// Text that is no YAML, YAML that is no pipeline file, and YAML that means harm.
#include <doctest/doctest.h>

#include "help.h"

using namespace leat::config;
using namespace leat::config::test;

TEST_CASE("YAML that is none is named with its place") {
  CHECK(problems("version: 1\nname: [t\n").starts_with("3:1: not valid YAML: "));
  CHECK(problems("version: 1\n\tname: t\n").starts_with("2:1: not valid YAML: "));
  CHECK(problems("") == "1:1: the file is empty");
  CHECK(problems("# nothing\n") == "1:1: the file is empty");
  CHECK(problems("- a\n").starts_with("1:1: expected a mapping with version, name"));
  CHECK(problems(kHead + "---\nversion: 1\n") ==
        "5:1: expected one YAML document, got a second one (after \"---\")");
  CHECK(problems_after_head("filter: !x {}\n") == "5:9: YAML tags are not used here, got !x: remove it");
  CHECK(problems_after_head("? [a]\n: b\n") ==
        "5:3: expected a key, got a list or a mapping (put text that holds { or [ in quotes)");
  CHECK(problems_after_head("filter: &f {workers: 1}\nprocess:\n  <<: *f\n") ==
        "7:3: merge keys (<<) are not part of YAML 1.2: write the keys out");
}

TEST_CASE("YAML's own traps come with what to write") {
  CHECK(problems("source:\n  paths: [*.jsonl]\n") ==
        "2:11: not valid YAML: put text that begins with * in quotes");
  CHECK(problems("source: {paths: [in/a.jsonl, *]}\n") ==
        "1:30: not valid YAML: put text that begins with * in quotes");
  CHECK(problems("source:\n\tpaths: [a]\n") == "2:1: not valid YAML: a tab; indent with blanks");
  CHECK(problems("source:\n  paths:\n\t- a\n") == "3:1: not valid YAML: a tab; indent with blanks");
  CHECK(problems("sink:\n  path: -\n") ==
        "2:9: not valid YAML: a list begins on the next line; put text that is - in quotes");
  CHECK(problems("sink:\n  path: {stem}.jsonl\n") ==
        "2:15: not valid YAML: end of map not found; put text that begins with { or [ in quotes, or check "
        "the "
        "indentation");
  CHECK(problems("name: t: u\n") ==
        "1:8: not valid YAML: illegal map value; put text that holds \": \" in quotes, or check the "
        "indentation");
  CHECK(problems("source:\n  paths: [/in/*\nsink:\n  path: x\n")
            .ends_with("end of sequence flow not found; a ] is missing, or text that holds [ wants quotes"));
  CHECK(problems("name: \"a\\é\"\n") == "1:11: not valid YAML: unknown escape character: ");
  CHECK(problems_after_head("filter: {keep: [{field: /a, exists: true, eq:1}]}\n") ==
        "5:43: filter.keep[0].eq:1: unknown key; write a blank behind the colon");
}

// yaml-cpp 0.7 ends an open quote with the file and says nothing: a path so ended in a blank.
TEST_CASE("a quote that is not closed is an error") {
  CHECK(problems(kHead + "dead_letter:\n  path: '/out/dead.jsonl\n") ==
        "7:1: not valid YAML: illegal document indicator in scalar; a quote is not closed");
  CHECK(problems(kHead + "dead_letter:\n  path: \"/out/dead.jsonl").ends_with("a quote is not closed"));
  CHECK(good(kHead + "dead_letter:\n  path: '/out/dead.jsonl'").dead_letter_path == "/out/dead.jsonl");
}

TEST_CASE("bytes that are no text are refused where they stand") {
  CHECK(problems("version: 1\nname: é\xFF\n") ==
        "2:9: expected UTF-8 text, got a byte that is not (or a NUL)");
  CHECK(problems(std::string_view("a: b\0c", 6)) ==
        "1:5: expected UTF-8 text, got a byte that is not (or a NUL)");
  CHECK(problems("\xFF\xFE"
                 "a")
            .starts_with("1:1: expected UTF-8 text"));
  CHECK(problems_after_head("process: {steps: [{set: {/a: \"x\\0y\"}}]}\n") ==
        "5:30: process.steps[0].set./a: expected text of valid characters, got text with \\0 or half a "
        "surrogate pair");
}

TEST_CASE("hostile YAML meets caps: depth, aliases, size, number of problems") {
  const auto nested = [](std::size_t levels) {
    return problems_after_head("process: {steps: [{set: {/a: " + std::string(levels, '[') +
                               std::string(levels, ']') + "}}]}\n");
  };
  CHECK(nested(59).empty());  // in five that stand around them
  CHECK(nested(60) == "5:89: more than 64 levels deep");
  CHECK(nested(100'000) == "5:89: more than 64 levels deep");
  CHECK_FALSE(problems_after_head("process: " + std::string(100'000, '[')).empty());
  CHECK_FALSE(problems_after_head("process: " + std::string(100'000, '{')).empty());
  std::string dashes;
  for (int i = 0; i < 100'000; ++i) dashes += "- ";
  CHECK(problems(dashes).ends_with("more than 64 levels deep"));
  std::string bomb = "a: &a0 [x, x, x, x, x, x, x, x, x, x]\n";
  for (int i = 1; i < 10; ++i) {
    const std::string last = " *a" + std::to_string(i - 1);
    bomb += "b" + std::to_string(i) + ": &a" + std::to_string(i) + " [";
    for (int j = 0; j < 9; ++j) bomb += last + ",";
    bomb += last + "]\n";
  }
  CHECK(problems_after_head(bomb).find("too many values") != std::string::npos);
  CHECK(problems_after_head("a: &a [*a]\n") == "5:8: an alias inside of what it stands for");
  CHECK(problems(std::string(kMiB + 1, '#')) ==
        " expected a pipeline file of at most 1MiB, this one is longer (long lists go to in_file)");
  std::string many;
  for (int i = 0; i < 300; ++i) many += "unknown" + std::to_string(i) + ": 1\n";
  const Parsed parsed = parse(kHead + many);
  CHECK(parsed.problems.size() == 201);
  CHECK(parsed.problems.back().text == "and 100 more problems");
}
