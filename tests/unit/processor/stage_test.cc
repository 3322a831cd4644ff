// A processor keeps to what it was granted, through steps, exec and arrays, and its parts together are what it would have
// made at once.
#include "workers/processor/stage.h"

#include <doctest/doctest.h>
#include <fmt/format.h>

#include <string>
#include <vector>

#include "config/yaml/parse.h"
#include "tests/unit/payloads.h"

using namespace leat;

namespace {

processor::ProcessorStage make_stage(const std::string& steps) {
  auto parsed = config::parse_pipeline(
      "version: 1\nname: t\nsource: {paths: [in], max_record: 1KiB}\nsink: {path: out}\nprocess: {steps: [" +
          steps + "]}\n",
      "/t.yaml");
  REQUIRE(parsed.problems.empty());
  auto made = processor::ProcessorStage::make(parsed.pipeline, kHeap, {[](const std::string&) {}, {}});
  REQUIRE(made.has_value());
  return *std::move(made);
}

struct Line {
  std::string text;      // empty: none is left of it
  std::string rejected;  // the filter's reason
  bool dropped = false;
};

struct Made {
  std::string records;
  std::vector<std::string> rejects;
  std::uint32_t in = 0, kept = 0, dropped = 0, rejected = 0, out = 0;
  int parts = 0;
  bool operator==(const Made& other) const {
    return records == other.records && rejects == other.rejects && in == other.in && kept == other.kept &&
           dropped == other.dropped && rejected == other.rejected && out == other.out;
  }
};

// What a filter would make of the lines from `first` on: each line is 10 bytes of the source.
proto::Batch batch(const std::vector<Line>& lines, std::size_t first, std::uint32_t grant) {
  proto::Header header;
  header.first_line = first + 1;
  header.first_offset = first * 10;
  header.end_line = lines.size();
  header.end_offset = lines.size() * 10;
  header.grant = grant;
  Buffer records(1000, proto::kHeaderBytes);
  Buffer rejects(100);
  std::vector<proto::TableEntry> table;
  for (std::size_t i = first; i < lines.size(); ++i) {
    const proto::Origin origin{static_cast<std::uint32_t>(i - first),
                               static_cast<std::uint32_t>((i - first) * 10)};
    if (!lines[i].rejected.empty()) {
      proto::encode_reject(rejects, {origin, proto::Stage::kFilter, 1, false, 0, lines[i].rejected, "x"});
      ++header.rejected;
    } else if (lines[i].dropped) {
      ++header.dropped;
    } else {
      table.push_back({origin, header.in});
      records.append(lines[i].text);
      records.push_back('\n');
      ++header.kept;
    }
    ++header.in;
  }
  header.out = header.kept;
  return proto::Batch::seal(header, std::move(records), table, rejects.view());
}

Made run(processor::ProcessorStage& stage, const std::vector<Line>& lines, std::uint32_t grant) {
  Made result;
  std::uint32_t granted = grant;
  std::size_t first = 0;
  for (bool more = true; more; ++result.parts) {
    REQUIRE(result.parts < 1000);
    auto made = stage.transform(batch(lines, first, granted));
    REQUIRE(made.has_value());
    const proto::Header& header = made->header();
    more = header.cut();
    if (granted != 0) CHECK(header.records_bytes + header.rejects_bytes <= granted);
    CHECK(header.in == header.kept + header.dropped + header.rejected);
    CHECK(header.end_offset == header.end_line * 10);
    CHECK(header.end_line - first == header.in);
    if (more && header.in == 0) CHECK(header.made > granted);
    result.in += header.in;
    result.kept += header.kept;
    result.dropped += header.dropped;
    result.rejected += header.rejected;
    result.out += header.out;
    result.records += made->records();
    REQUIRE(proto::decode_rejects(made->rejects(), [&](const proto::Reject& reject) {
              result.rejects.push_back(
                  fmt::format("{}: {}", first + 1 + reject.origin.line_delta, reject.reason));
            }).has_value());
    granted = more && header.in == 0 ? header.made : grant;
    first = header.end_line;
  }
  return result;
}

std::vector<Line> mixed() {
  std::vector<Line> lines;
  for (int i = 0; i < 24; ++i) {
    if (i % 6 == 4) {
      lines.push_back({"", "malformed", false});
    } else if (i % 6 == 5) {
      lines.push_back({"", "", true});
    } else {
      lines.push_back({i % 6 == 2 ? "[1]" : fmt::format("{{\"n\":{}}}", i), "", false});
    }
  }
  return lines;
}

// Doubles each record, drops every 7th, and refuses every 5th.
const std::string kExec =
    R"x({exec: {command: [python3, -c, "import sys, json\nfor l in sys.stdin:\n  n = json.loads(l)['n']\n  )x"
    R"x(print('null' if n % 7 == 0 else '{\"leat_error\":\"five\"}' if n % 5 == 0 else )x"
    R"x('[' + l.strip() + ',' + l.strip() + ']', flush=True)"]}})x";

void check_every_grant(const std::string& steps) {
  auto processor = make_stage(steps);
  const Made whole = run(processor, mixed(), 0);
  CHECK(whole.parts == 1);
  CHECK(whole.in == 24);
  int most = 0;
  for (std::uint32_t grant = 12; grant < 6000; grant = grant < 150 ? grant + 3 : grant * 3 / 2) {
    CAPTURE(grant);
    const Made cut = run(processor, mixed(), grant);
    CHECK(cut == whole);
    most = std::max(most, cut.parts);
  }
  CHECK(most > 10);
}

}  // namespace

TEST_CASE("steps: the parts of a cut batch are together what it becomes at once, whatever the grant") {
  check_every_grant("{set: {/big: \"" + std::string(30, 'y') + "\"}}");
}

TEST_CASE("exec, arrays and steps around them: the parts are together what the batch becomes at once") {
  check_every_grant("{set: {/a: 1}}, " + kExec + ", {set: {/b: \"" + std::string(20, 'y') + "\"}}");
}

TEST_CASE("a record that would become more than its bound is a dead letter with its size") {
  auto processor =
      make_stage(R"({replace: {field: /a, pattern: "", with: ")" + std::string(40'000, 'y') + "\"}}");
  const std::vector<Line> lines{{"{\"a\":\"" + std::string(1000, 'a') + "\"}", "", false},
                                {"{\"a\":1}", "", false}};
  const Made result = run(processor, lines, 0);
  CHECK(result.records == "{\"a\":1}\n");
  REQUIRE(result.rejects.size() == 1);
  CHECK(result.rejects[0].starts_with("1: its result takes over 16"));
}

TEST_CASE("copies of copies stop at the bound, before the memory is taken") {
  std::string steps = "{set: {/a: \"" + std::string(10'000, 'y') + "\"}}";
  for (int i = 0; i < 14; ++i) steps += ", {copy: {/a: /n/x}}, {copy: {/a: /n/y}}, {rename: {/n: /a}}";
  auto processor = make_stage(steps);
  const Made result = run(processor, {{"{}", "", false}}, 0);
  REQUIRE(result.rejects.size() == 1);
  CHECK(result.rejects[0].starts_with("1: its result takes over"));
}
