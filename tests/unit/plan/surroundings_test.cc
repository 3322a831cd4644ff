#include "daemon/plan/surroundings.h"

#include <doctest/doctest.h>

#include <filesystem>

#include "tests/unit/folder.h"

using namespace leat;
using namespace leat::plan;

namespace {

config::Pipeline pipeline(const std::string& source, const std::string& sink, const std::string& more = "") {
  config::Parsed parsed = config::parse_pipeline(
      "version: 1\nname: p\nsource: {paths: ['" + source + "'" + more + "\nsink: {path: '" + sink + "'}\n",
      "/etc/leat/pipelines.d/p.yaml");
  REQUIRE(parsed.problems.empty());
  return parsed.pipeline;
}

std::string for_service(const config::Pipeline& pipeline, const Sandbox& sandbox = {}) {
  std::string all;
  for (const auto& problem : wrong_for_service(pipeline, "p.yaml", sandbox)) all += to_string(problem) + "\n";
  return all;
}

}  // namespace

TEST_CASE("what stands in the way of an output is said before a run meets it") {
  test::Folder folder;
  folder.write("taken", "");
  std::filesystem::create_directory(folder.path("d"));
  const auto wrong = [&](const std::string& sink, bool begun) {
    return wrong_with_outputs(pipeline("/in/*.jsonl", folder.path(sink), "]}"), begun);
  };
  CHECK(wrong("new", false).empty());
  CHECK(wrong("{stem}", false).empty());
  CHECK(wrong("made/{stem}/x", false) ==
        std::vector<std::string>{"sink.path: there is no folder " + folder.path("made") +
                                 "; make it: mkdir -p \"" + folder.path("made") + "\""});
  CHECK(wrong("d", false) ==
        std::vector<std::string>{"sink.path: " + folder.path("d") + " is a folder, not a file: add a name"});
  CHECK(wrong("taken", true).empty());
  CHECK(wrong("{date}-{stem}", false).empty());
  CHECK(wrong("{date}", false).at(0).starts_with("sink.path: {date} ends no output"));
  CHECK(wrong("taken", false).size() == 1);
}

TEST_CASE("what leatd's sandbox does not allow is said, and where to read how to allow it") {
  const std::string tail = "]}";
  CHECK(for_service(pipeline("/mnt/nas/*.jsonl", "/srv/out/{stem}", tail)).empty());
  CHECK(for_service(pipeline("/mnt/nas/*.jsonl", "/home/ada/{stem}", tail)) ==
        "p.yaml: sink.path: leatd does not see /home/ada (ProtectHome=): keep it elsewhere, or see "
        "docs/systemd.md\n");
  CHECK(for_service(pipeline("/home/ada/in/*.jsonl", "/srv/{stem}", tail)) ==
        "p.yaml: source.paths: leatd does not see /home/ada/in (ProtectHome=): keep it elsewhere, or see "
        "docs/systemd.md\n");
  CHECK(for_service(pipeline("/data/*.jsonl", "/data/{stem}.out", tail)) ==
        "p.yaml: sink.path: leatd may not write to /data, only below /srv /mnt /media: write there, or see "
        "docs/systemd.md\n");
  CHECK(
      for_service(pipeline("/data/*.jsonl", "/srv/{stem}.out", "], after: delete}")) ==
      "p.yaml: source.after: leatd may not write to /data, only below /srv /mnt /media: write there, or see "
      "docs/systemd.md\n");
  CHECK(for_service(pipeline("/tmp/in/*.jsonl", "/srv/{stem}", tail))
            .starts_with("p.yaml: source.paths: /tmp/in is another folder for leatd"));
  CHECK(for_service(pipeline("/mnt/*.jsonl", "/srv/out.jsonl", tail))
            .starts_with("p.yaml: sink.path: leatd never ends, so the sink needs a placeholder ({stem}"));
  CHECK(for_service(pipeline("/mnt/*.jsonl", "/srv/{date}.jsonl", tail)) ==
        "p.yaml: sink.path: leatd never ends, so the sink needs a placeholder ({stem}, {path}, {n}), got "
        "/srv/{date}.jsonl; {date} ends no output\n");
}

TEST_CASE("drop-ins change what leatd may do") {
  Sandbox sandbox = parse_sandbox(
      "ReadWritePaths=-/srv -/mnt -/media "
      "/data/out\nProtectHome=read-only\nPrivateTmp=yes\nProtectSystem=strict\n");
  CHECK(sandbox.writable == std::vector<std::string>{"/srv", "/mnt", "/media", "/data/out"});
  CHECK_FALSE(sandbox.homes_hidden);
  CHECK(for_service(pipeline("/home/ada/in/*.jsonl", "/data/out/{stem}", "]}"), sandbox).empty());
  CHECK_FALSE(for_service(pipeline("/in/*", "/data/other/{stem}", "]}"), sandbox).empty());
  CHECK(for_service(pipeline("/in/*", "/data/other/{stem}", "]}"), parse_sandbox("ProtectSystem=full\n"))
            .empty());
  CHECK(parse_sandbox("").homes_hidden);
}
