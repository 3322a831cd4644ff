#include "daemon/cli/summary.h"

#include <doctest/doctest.h>
#include <rapidjson/document.h>

using namespace leat;
using namespace leat::cli;

namespace {

supervisor::Outcome done(std::string details) {
  supervisor::Outcome outcome;
  outcome.details = std::move(details);
  outcome.last.seconds = 2;
  outcome.last.bytes_in = 10'000'000;
  outcome.last.stages = {{proto::Stage::kReader, 1, 0.2, 0.3, 0.5}, {proto::Stage::kFilter, 2, 0.9, 0, 0.1}};
  return outcome;
}

const char* const kGood =
    R"({"stopped":false,"in":1000,"kept":400,"dropped":590,"dead":10,"out":400,
        "outputs":[{"path":"/out/a.zst","bytes":100,"records_bytes":500}],
        "dead_letter":{"path":"/out/dead","records":10},"sources":{"done":3,"failed":[],"changed":[]}})";

bool has(const std::string& text, std::string_view part) {
  return text.find(part) != std::string::npos;
}

}  // namespace

TEST_CASE("dead letters fail a run only when it is strict") {
  CHECK(summarise("p", done(kGood), false).exit_code == kExitOk);
  CHECK(summarise("p", done(kGood), true).exit_code == kExitStrict);
}

TEST_CASE("the account is read and shown") {
  std::string text = to_text(summarise("p", done(kGood), false));
  CHECK(has(text, "p: 3 of 3 files read"));
  CHECK(has(text, "5.00 MB/s, 500 records/s"));
  CHECK(has(text, "see /out/dead"));
  CHECK(has(text, "/out/a.zst (100 B, 500 B uncompressed)"));
  CHECK(has(text, "filter x 2     90.0 % busy"));
  CHECK(text.find("<- busiest") > text.find("filter x 2"));
}

TEST_CASE("of many outputs ten are shown, and those without a record are counted") {
  std::string outputs;
  for (int i = 0; i < 1000; ++i) {
    outputs += (i == 0 ? "" : ",") + std::string(R"({"path":"/out/)") + std::to_string(i) +
               R"(","bytes":0,"records_bytes":0})";
  }
  auto of = [&](const std::string& counts) {
    return to_text(summarise("p", done(R"({"in":0,"outputs":[)" + outputs + "]," + counts + "}"), false));
  };
  std::string text = of(R"("outputs_count":3000,"outputs_empty":2999)");
  CHECK(has(text, "/out/9 (0 B)\n  and 2,990 more outputs\n  2,999 of 3,000 outputs are empty"));
  CHECK_FALSE(has(text, "/out/10"));
  CHECK(has(of(R"("outputs_count":1000)"), "and 990 more outputs\n"));
}

TEST_CASE("a path cannot forge a line of the summary") {
  std::string text = to_text(summarise(
      "p", done(R"({"in":0,"outputs":[{"path":"/o\n  dead 0\u001b","bytes":1,"records_bytes":1}],"sources":{
            "failed":[{"path":"/a\nb","offset":0,"reason":"r\nr"}]}})"),
      false));
  CHECK(has(text, "/o\\n  dead 0\\x1b (1 B)"));
  CHECK(has(text, "/a\\nb at byte 0: r\\nr"));
}

TEST_CASE("a run with nothing to do says since when, and what would do it again") {
  Summary summary = summarise(
      "p",
      done(
          R"({"in":0,"kept":0,"dropped":0,"dead":0,"already_done":3,"last_done_s":86400,"sources":{"done":0}})"),
      false);
  CHECK(to_text(summary).starts_with("p: nothing to do: 3 files were done before, the last at 1970-01-02"));
  CHECK(summary.exit_code == kExitOk);
}

TEST_CASE("a stopped run says what the next one does") {
  Summary summary = summarise("p", done(R"({"in":0,"stopped":true})"), false);
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
  Summary summary =
      summarise("p", done(R"({"stopped":false,"in":10,"kept":4,"dropped":5,"dead":0,"out":4})"), false);
  CHECK(summary.exit_code == kExitBug);
  CHECK(has(summary.failure, "do not add up"));
}

TEST_CASE("an account that cannot be read is a bug") {
  for (const char* bad : {"", "[]", "{", R"({"in":-1})", R"({"kept":1})"}) {
    CAPTURE(bad);
    CHECK(summarise("p", done(bad), false).exit_code == kExitBug);
  }
}

TEST_CASE("a source that failed makes 74, with place and reason") {
  Summary summary = summarise(
      "p",
      done(
          R"({"in":0,"sources":{"done":1,"failed":[{"path":"/in/b.zst","offset":5000,"reason":"ends in the middle"}]}})"),
      true);
  CHECK(summary.exit_code == kExitIo);
  CHECK(has(to_text(summary), "1 of 2 files read"));
  CHECK(has(to_text(summary), "failed   /in/b.zst at byte 5,000: ends in the middle"));
}

TEST_CASE("more sources may have failed than the list holds") {
  Summary summary = summarise("p", done(R"({"in":0,"sources":{"done":1,"failed_count":7}})"), false);
  CHECK(summary.exit_code == kExitIo);
  CHECK(has(to_text(summary), "and 7 more files"));
}

TEST_CASE("a stopped run is 75, and without an output says so") {
  Summary summary = summarise("p", done(R"({"stopped":true,"in":0})"), true);
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
  std::string text = to_json(
      summarise("p", done("{\"in\":0,\"dead_letter\":{\"path\":\"/out/\xFF\",\"records\":0}}"), false));
  CHECK(text.find('\n') == text.size() - 1);
  rapidjson::Document json;
  json.Parse<rapidjson::kParseValidateEncodingFlag>(text.c_str());
  REQUIRE(json.IsObject());
  CHECK(json["in"].GetUint64() == 0);
  CHECK(json["stages"].Size() == 2);
  CHECK(std::string(json["busiest"].GetString()) == "filter");
}
