// A filter keeps to what it was granted, and its parts together are what it would have made at once.
#include "workers/filter/stage.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "config/yaml/parse.h"
#include "tests/unit/payloads.h"

using namespace leat;

namespace {

constexpr std::uint64_t kFirstLine = 11;
constexpr std::uint64_t kFirstOffset = 5000;

filter::FilterStage make_stage(bool processors) {
  std::string text =
      "version: 1\nname: t\nsource: {paths: [in]}\nsink: {path: out}\nfilter: {keep: [{field: /k, eq: 1}]}\n";
  if (processors) text += "process: {steps: [{drop: [/x]}]}\n";
  auto parsed = config::parse_pipeline(text, "/t.yaml");
  REQUIRE(parsed.problems.empty());
  auto made = filter::FilterStage::make(parsed.pipeline, kHeap);
  REQUIRE(made.has_value());
  return *std::move(made);
}

struct Made {
  std::string records;
  std::vector<std::string> table;    // line:records before, of each record
  std::vector<std::string> rejects;  // line:record
  std::uint32_t in = 0, kept = 0, dropped = 0, rejected = 0;
  int parts = 0;
  bool processors = false;  // else there is no table
  bool operator==(const Made& other) const {
    return records == other.records && (table == other.table || !processors) && rejects == other.rejects &&
           in == other.in && kept == other.kept && dropped == other.dropped && rejected == other.rejected;
  }
};

// The reject of a record that has killed before, in place of which `text` has a blank line.
proto::Reject killer(std::uint32_t line_delta, std::uint32_t offset_delta) {
  proto::Reject reject;
  reject.origin = {line_delta, offset_delta};
  reject.stage = proto::Stage::kProcessor;
  reject.record = "killer";
  reject.reason = "killed";
  return reject;
}

// All parts of `text`, each with that grant, or what its first record needs. killers: offsets of lines in it, ascending.
Made run(filter::FilterStage& stage, const std::string& text, std::uint32_t grant,
         const std::vector<std::size_t>& killers = {}) {
  Made result;
  std::uint32_t granted = grant;
  proto::Header at;
  at.end_line = kFirstLine - 1;
  at.end_offset = kFirstOffset;
  for (bool more = true; more; ++result.parts) {
    REQUIRE(result.parts < 10'000);
    proto::Header header;
    header.first_line = at.end_line + 1;
    header.first_offset = at.end_offset;
    header.end_offset = kFirstOffset + text.size();
    header.tail_bytes = 7;
    header.grant = granted;
    Buffer records(text.size(), proto::kHeaderBytes);
    records.append(std::string_view(text).substr(at.end_offset - kFirstOffset));
    Buffer came(1024);
    for (const std::size_t offset : killers) {
      const std::size_t begin = at.end_offset - kFirstOffset;
      if (offset < begin) continue;
      const auto lines = std::count(text.begin() + static_cast<std::ptrdiff_t>(begin),
                                    text.begin() + static_cast<std::ptrdiff_t>(offset), '\n');
      proto::encode_reject(
          came, killer(static_cast<std::uint32_t>(lines), static_cast<std::uint32_t>(offset - begin)));
      ++header.in;
      ++header.rejected;
    }
    auto made = stage.transform(proto::Batch::seal(header, std::move(records), {}, came.view()));
    REQUIRE(made.has_value());
    at = made->header();
    more = at.cut();
    if (more) CHECK(at.tail_bytes == 0);
    if (granted != 0) {
      const bool whole = at.table_entries == 0 && at.rejects_bytes == 0;
      CHECK(at.records_bytes + at.rejects_bytes <=
            std::max<std::size_t>(granted, whole ? text.size() : 0) + came.size());
      CHECK(at.table_entries * proto::kOriginBytes <= granted);
    }
    CHECK(at.in == at.kept + at.dropped + at.rejected);
    const std::uint32_t before = result.in;
    result.in += at.in;
    result.kept += at.kept;
    result.dropped += at.dropped;
    result.rejected += at.rejected;
    result.records += made->records();
    std::vector<proto::TableEntry> table;
    made->table(table);
    if (at.table_entries == 0 && at.in == at.kept) {  // as they came
      for (std::uint32_t i = 0; i < at.in; ++i) table.push_back({{i, 0}, i});
    }
    for (std::uint32_t i = 0; i < table.size(); ++i) {
      const proto::TableEntry& entry = table[i];
      CHECK(entry.before >= i);
      result.table.push_back(std::to_string(header.first_line + entry.origin.line_delta) + ":" +
                             std::to_string(before + entry.before));
    }
    REQUIRE(proto::decode_rejects(made->rejects(), [&](const proto::Reject& reject) {
              result.rejects.push_back(std::to_string(header.first_line + reject.origin.line_delta) + ":" +
                                       std::string(reject.record));
            }).has_value());
    granted = more && at.in == 0 ? at.made : grant;
  }
  return result;
}

std::string mixed() {
  std::string text;
  for (int i = 0; i < 60; ++i) {
    text += i % 5 == 0 ? "x\n" : i % 5 == 1 ? "{\"k\":0}\n" : i % 5 == 2 ? "\n" : "{\"k\":1}\n";
  }
  return text;
}

}  // namespace

TEST_CASE("the parts of a cut batch are together what it becomes at once, whatever the grant") {
  for (bool processors : {false, true}) {
    auto filter = make_stage(processors);
    Made whole = run(filter, mixed(), 0);
    whole.processors = processors;
    CHECK(whole.parts == 1);
    CHECK(whole.in == 48);
    for (std::uint32_t grant = 12; grant < 3000; grant = grant < 200 ? grant + 1 : grant * 2) {
      CAPTURE(grant);
      CHECK(whole == run(filter, mixed(), grant));
    }
  }
}

TEST_CASE("a reject that came with a batch leaves with the part that its line is in, and is counted once") {
  for (bool processors : {false, true}) {
    auto filter = make_stage(processors);
    const std::string text = mixed();
    std::vector<std::size_t> killers;
    for (std::size_t at = text.find("\n\n"); at != std::string::npos; at = text.find("\n\n", at + 1))
      killers.push_back(at + 1);
    REQUIRE(killers.size() == 12);
    Made whole = run(filter, text, 0, killers);
    whole.processors = processors;
    CHECK(whole.in == 60);
    CHECK(whole.rejected == 24);
    CHECK(whole.rejects.at(1) == "13:killer");
    for (std::uint32_t grant = 12; grant < 3000; grant = grant < 200 ? grant + 1 : grant * 2) {
      CAPTURE(grant);
      CHECK(whole == run(filter, text, grant, killers));
    }
  }
}

TEST_CASE("rejects of one byte each do not outgrow the grant") {
  auto filter = make_stage(false);
  std::string text;
  for (int i = 0; i < 1000; ++i) text += "x\n";
  const Made result = run(filter, text, 4096);
  CHECK(result.rejected == 1000);
  CHECK(result.parts > 10);
}

TEST_CASE("the table says how many records came before each, whatever became of them") {
  auto filter = make_stage(true);
  Buffer records(100, proto::kHeaderBytes);
  records.append("{\"k\":1}\n\nx\n{\"k\":0}\n{\"k\":1}\n");
  proto::Header header;
  header.first_line = 1;
  auto made = filter.transform(proto::Batch::seal(header, std::move(records)));
  REQUIRE(made.has_value());
  REQUIRE(made->header().table_entries == 2);
  std::vector<proto::TableEntry> table;
  made->table(table);
  CHECK(table.at(0).before == 0);
  CHECK(table.at(1).before == 3);
  CHECK(table.at(1).origin.line_delta == 4);
}
