#include "workers/writer/target.h"

#include <doctest/doctest.h>

#include "workers/writer/temporary.h"

using leat::writer::Target;

namespace {

const std::chrono::system_clock::time_point kNewYear{
    std::chrono::seconds(1'798'761'599)};  // 2026-12-31 23:59:59Z

std::string expand(const std::string& path, const std::string& source,
                   const std::vector<std::string>& globs = {}) {
  return Target(path, globs).expand(source, 7, kNewYear);
}

}  // namespace

TEST_CASE("{stem} is the name without the endings that say how it is packed") {
  CHECK(expand("/o/{stem}.x", "/in/a.jsonl") == "/o/a.x");
  CHECK(expand("/o/{stem}.x", "/in/a.jsonl.zst") == "/o/a.x");
  CHECK(expand("/o/{stem}.x", "/in/a.json.gz") == "/o/a.x");
  CHECK(expand("/o/{stem}.x", "/in/a.ndjson") == "/o/a.x");
  CHECK(expand("/o/{stem}.x", "/in/a.2026.log.gz") == "/o/a.2026.log.x");
  CHECK(expand("/o/{stem}.x", "/in/a.zst.jsonl") == "/o/a.zst.x");
  CHECK(expand("/o/{stem}.x", "/in/plain") == "/o/plain.x");
}

TEST_CASE("{path} keeps the folders below the fixed part of the glob") {
  std::vector<std::string> globs{"/in/**/*.jsonl", "/in/b/*/x*.jsonl"};
  CHECK(expand("/o/{path}.x", "/in/a/b/c.jsonl.zst", globs) == "/o/a/b/c.x");
  CHECK(expand("/o/{path}.x", "/in/top.jsonl", globs) == "/o/top.x");
  CHECK(expand("/o/{path}.x", "/in/b/d/x1.jsonl", globs) == "/o/d/x1.x");  // the longest prefix that fits
  CHECK(expand("/o/{path}.x", "/else/where.jsonl", globs) == "/o/where.x");
  CHECK(expand("/o/{path}.x", "/in/one.jsonl", {"/in/one.jsonl"}) == "/o/one.x");
  CHECK(expand("/o/{path}.x", "/a/b.jsonl", {"/**/*.jsonl"}) == "/o/a/b.x");
}

TEST_CASE("{n} has six digits and {date} is the day in UTC") {
  CHECK(expand("/o/{date}/{n}.x", "") == "/o/2026-12-31/000007.x");
  CHECK(Target("/o/{n}", {}).expand("", 12'345'678, kNewYear) == "/o/12345678");
}

TEST_CASE("braces in a source's name, and unknown ones in the path, are plain text") {
  CHECK(expand("/o/{stem}-{n}", "/in/{n}.jsonl") == "/o/{n}-000007");
  CHECK(expand("/o/{other}{", "/in/a") == "/o/{other}{");
}

TEST_CASE("the fixed folder ends before the first placeholder") {
  CHECK(Target("/o/x/{path}.y", {}).fixed_folder() == "/o/x");
  CHECK(Target("/o/x/a-{date}/{n}", {}).fixed_folder() == "/o/x");
  CHECK(Target("/o/x/plain", {}).fixed_folder() == "/o/x");
  CHECK(Target("/{stem}", {}).fixed_folder() == "/");
}

TEST_CASE("a target fits the path that may have made it, and no other") {
  CHECK(Target("/o/{date}/{stem}-{n}.x", {}).fits("/o/2026-12-31/a-b-000007.x"));
  CHECK(Target("/o/{path}.x", {}).fits("/o/a/b.x"));
  CHECK(Target("/o/x", {}).fits("/o/x"));
  CHECK_FALSE(Target("/o/x", {}).fits("/o/y"));
  CHECK_FALSE(Target("/o/{stem}.x", {}).fits("/o/.x"));
  CHECK_FALSE(Target("/o/{stem}.x", {}).fits("/o/a.x.zst"));
  CHECK_FALSE(Target("/p/{n}", {}).fits("/o/000001"));
}

TEST_CASE("the temporary name is hidden and beside the target") {
  CHECK(leat::writer::temporary_of("/o/a.jsonl") == "/o/.a.jsonl.leat-tmp");
  CHECK(leat::writer::temporary_of("/a") == "/.a.leat-tmp");
}
