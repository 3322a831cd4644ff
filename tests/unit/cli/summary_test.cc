#include "daemon/cli/summary.h"

#include <doctest/doctest.h>
#include <rapidjson/document.h>

using namespace leat;
using namespace leat::cli;
using proto::RunSummary;

namespace {

supervisor::Outcome done(std::string details) {
  supervisor::Outcome outcome;
  outcome.details = std::move(details);
  outcome.last.seconds = 2;
  outcome.last.bytes_in = 10'000'000;
  outcome.last.stages = {{proto::Stage::kReader, 1, 0.2, 0.3, 0.5}, {proto::Stage::kFilter, 2, 0.9, 0, 0.1}};
  return outcome;
}
supervisor::Outcome done(const RunSummary& counts) {
  return done(encode_fields(counts));
}

RunSummary good() {
  RunSummary counts;
  counts.in = 1000;
  counts.kept = counts.out = 400;
  counts.dropped = 590;
  counts.dead = 10;
  counts.outputs = {{"/out/a.zst", 100, 500}};
  counts.outputs_count = 1;
  counts.dead_letter = {"/out/dead", 10};
  counts.sources.done = 3;
  return counts;
}

bool has(const std::string& text, std::string_view part) {
  return text.find(part) != std::string::npos;
}

}  // namespace

TEST_CASE("dead letters fail a run only when it is strict") {
  CHECK(summarise("p", done(good()), false).exit_code == kExitOk);
  CHECK(summarise("p", done(good()), true).exit_code == kExitStrict);
}

TEST_CASE("the counts are read and shown") {
  std::string text = to_text(summarise("p", done(good()), false));
  CHECK(has(text, "p: 3 of 3 files read"));
  CHECK(has(text, "5.00 MB/s, 500 records/s"));
  CHECK(has(text, "see /out/dead"));
  CHECK(has(text, "/out/a.zst (100 B, 500 B uncompressed)"));
  CHECK(has(text, "filter x 2     90.0 % busy"));
  CHECK(text.find("<- busiest") > text.find("filter x 2"));
}

TEST_CASE("of many outputs ten are shown, and those without a record are counted") {
  RunSummary counts;
  for (int i = 0; i < 1000; ++i) counts.outputs.push_back({"/out/" + std::to_string(i), 0, 0});
  auto of = [&](std::uint64_t all, std::uint64_t empty) {
    counts.outputs_count = all;
    counts.outputs_empty = empty;
    return to_text(summarise("p", done(counts), false));
  };
  std::string text = of(3000, 2999);
  CHECK(has(text, "/out/9 (0 B)\n  and 2,990 more outputs\n  2,999 of 3,000 outputs are empty"));
  CHECK_FALSE(has(text, "/out/10"));
  CHECK(has(of(1000, 0), "and 990 more outputs\n"));
}

TEST_CASE("a path cannot forge a line of the summary") {
  RunSummary counts;
  counts.outputs = {{"/o\n  dead 0\x1b", 1, 1}};
  counts.sources.failed = {{"/a\nb", 0, "r\nr"}};
  std::string text = to_text(summarise("p", done(counts), false));
  CHECK(has(text, "/o\\n  dead 0\\x1b (1 B)"));
  CHECK(has(text, "/a\\nb at byte 0: r\\nr"));
}

TEST_CASE("a run with nothing to do says since when, and what would do it again") {
  RunSummary counts;
  counts.sources.done_before = 3;
  counts.sources.last_done_s = 86400;
  Summary summary = summarise("p", done(counts), false);
  CHECK(to_text(summary).starts_with("p: nothing to do: 3 files were done before, the last at 1970-01-02"));
  CHECK(summary.exit_code == kExitOk);
}

TEST_CASE("a stopped run says what the next one does") {
  RunSummary counts;
  counts.stopped = true;
  Summary summary = summarise("p", done(counts), false);
  CHECK(has(to_text(summary), "run again to continue"));
  summary.volatile_state = true;
  CHECK(has(to_text(summary), "run again to start over"));
  summary.volatile_state = false;
  summary.forced = true;
  CHECK(has(to_text(summary), "run again with --force to continue"));
  summary.once = true;
  CHECK(has(to_text(summary), "run again with --force and without --fresh and --reread to continue"));
  summary.once = false;
  summary.state_option = " --state /s";
  CHECK(has(to_text(summary), "run again with --state /s --force to continue"));
}

TEST_CASE("counts that do not add up are a bug, whatever else is said") {
  RunSummary counts = good();
  --counts.dead;
  Summary summary = summarise("p", done(counts), false);
  CHECK(summary.exit_code == kExitBug);
  CHECK(has(summary.failure, "do not add up"));
}

TEST_CASE("a run summary that cannot be read is a bug") {
  for (const char* bad : {"", "[]", "{", R"({"in":-1})", R"({"kept":1})"}) {
    CAPTURE(bad);
    CHECK(summarise("p", done(bad), false).exit_code == kExitBug);
  }
}

TEST_CASE("a source that failed makes 74, with place and reason") {
  RunSummary counts;
  counts.sources.done = counts.sources.failed_count = 1;
  counts.sources.failed = {{"/in/b.zst", 5000, "ends in the middle"}};
  Summary summary = summarise("p", done(counts), true);
  CHECK(summary.exit_code == kExitIo);
  CHECK(has(to_text(summary), "1 of 2 files read"));
  CHECK(has(to_text(summary), "failed   /in/b.zst at byte 5,000: ends in the middle"));
}

TEST_CASE("more sources may have failed than the list holds") {
  RunSummary counts;
  counts.sources.failed_count = 7;
  Summary summary = summarise("p", done(counts), false);
  CHECK(summary.exit_code == kExitIo);
  CHECK(has(to_text(summary), "and 7 more files"));
}

TEST_CASE("a stopped run is 75, and without an output says so") {
  RunSummary counts;
  counts.stopped = true;
  Summary summary = summarise("p", done(counts), true);
  CHECK(summary.exit_code == kExitStopped);
  CHECK(has(to_text(summary), "run again to continue"));
}

TEST_CASE("a run that failed keeps its exit code and has no summary to mislead") {
  supervisor::Outcome outcome;
  outcome.exit_code = kExitNoInput;
  outcome.failure = "no file matches";
  Summary summary = summarise("p", outcome, false);
  CHECK(summary.exit_code == kExitNoInput);
  CHECK(to_text(summary).empty());
  rapidjson::Document json;
  json.Parse(to_json(summary).c_str());
  REQUIRE(json.IsObject());
  CHECK(json["exit_code"].GetInt() == kExitNoInput);
  CHECK(std::string(json["failure"].GetString()) == "no file matches");
  CHECK_FALSE(json.HasMember("in"));
}

TEST_CASE("the JSON is one line with the counts, also for a path that is not UTF-8") {
  RunSummary counts;
  counts.dead_letter.path = "/out/\xFF";
  std::string text = to_json(summarise("p", done(counts), false));
  CHECK(text.find('\n') == text.size() - 1);
  rapidjson::Document json;
  json.Parse<rapidjson::kParseValidateEncodingFlag>(text.c_str());
  REQUIRE(json.IsObject());
  CHECK(json["in"].GetUint64() == 0);
  CHECK(json["stages"].Size() == 2);
  CHECK(std::string(json["busiest"].GetString()) == "filter");
}
