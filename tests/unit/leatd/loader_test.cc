#include "daemon/leatd/loader.h"

#include <doctest/doctest.h>
#include <sys/stat.h>

#include <chrono>
#include <string>
#include <vector>

#include "proto/channel.h"
#include "tests/unit/folder.h"

using namespace leat;
using namespace leat::leatd;

namespace {

const char* const kPipeline =
    "version: 1\nname: a\nsource: {paths: [/nowhere/*.jsonl]}\nsink: {path: '/elsewhere/{stem}.jsonl'}\n";

std::vector<plan::Candidate> load(Loader& loader) {
  proto::Poller poller;
  poller.add(loader.fd());
  while (!loader.done()) REQUIRE(poller.wait(Loader::kPatience));
  return loader.take();
}

std::string problem(const plan::Candidate& candidate) {
  return candidate.plan.problems.empty() ? "" : candidate.plan.problems.front().text;
}

}  // namespace

TEST_CASE("the pipeline files of a folder are read, in the order of their names, and no others") {
  test::Folder folder;
  folder.write("b.yml", kPipeline);
  folder.write("a.yaml", kPipeline);
  folder.write(".a.yaml", kPipeline);
  folder.write("a.yaml.bak", kPipeline);
  Loader loader(folder.root());
  auto candidates = load(loader);
  CHECK(loader.error() == "");
  REQUIRE(candidates.size() == 2);
  CHECK(candidates[0].file == folder.path("a.yaml"));
  CHECK(candidates[1].file == folder.path("b.yml"));
  for (const auto& candidate : candidates) {
    CHECK(problem(candidate) == "");
    CHECK(candidate.plan.pipeline.name == "a");
  }
}

TEST_CASE("an empty folder is done at once, and one that is missing is said") {
  test::Folder folder;
  Loader empty(folder.root());
  CHECK(load(empty).empty());
  CHECK(empty.error() == "");
  Loader missing(folder.path("missing"));
  CHECK(load(missing).empty());
  CHECK(missing.error() == folder.path("missing") + ": No such file or directory");
}

// Whoever opens it waits for its other end.
TEST_CASE("a FIFO holds up neither the loader nor the other files") {
  test::Folder folder;
  REQUIRE(::mkfifo(folder.path("a.yaml").c_str(), 0600) == 0);
  folder.write("b.yaml", kPipeline);
  Loader loader(folder.root());
  auto candidates = load(loader);
  REQUIRE(candidates.size() == 2);
  CHECK(problem(candidates[0]) == "is not a file");
  CHECK(problem(candidates[1]) == "");
}

TEST_CASE("one output for everything would never be done: leatd refuses it") {
  test::Folder folder;
  folder.write("a.yaml", kPipeline);
  folder.write(
      "b.yaml",
      "version: 1\nname: b\nsource: {paths: [/nowhere/*.jsonl]}\nsink: {path: /elsewhere/out.jsonl}\n");
  Loader loader(folder.root());
  auto candidates = load(loader);
  REQUIRE(candidates.size() == 2);
  refuse_what_ends(candidates);
  CHECK(problem(candidates[0]) == "");
  CHECK(problem(candidates[1]).find("leatd") != std::string::npos);
}
