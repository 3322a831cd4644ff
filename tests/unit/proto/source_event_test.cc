#include "proto/source_event.h"

#include <doctest/doctest.h>

#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

namespace leat::proto {
namespace {

// Each with a value in every field; a path is bytes.
std::vector<SourceEvent> one_of_each() {
  return {SourceOpened{"/in/\xff a.jsonl", 1ULL << 40, -5, 65536, 0xfedcba9876543210, "zstd"},
          SourceEnded{"/in/a.jsonl", 8, 5, 3, 27},
          SourceFailed{"/in/a.jsonl", 180, "ends in the middle", true},
          SourceChanged{"/in/a.jsonl", "truncated"},
          SourceMoved{"/in/new.jsonl", "/in/a.jsonl"},
          SourceFinished{"/in/a.jsonl", "move", "/done/a.jsonl", "no permission"},
          EndOfInput{true, 5},
          SourcesScanned{{1, 2}, {7}, true, true},
          InputRead{}};
}

BatchKind kind_of(const SourceEvent& event) {
  return std::visit([](const auto& what) { return what.kKind; }, event);
}

std::string text_of(const SourceEvent& event) {
  const Buffer payload = encode_payload(event);
  return {payload.data(), payload.size()};
}

std::string golden() {
  std::ifstream file(std::string(LEAT_SOURCE_DIR) + "/tests/golden/source-events-v1.jsonl", std::ios::binary);
  std::ostringstream all;
  all << file.rdbuf();
  return all.str();
}

TEST_CASE("source events are written as they always were") {
  std::string lines;
  for (const auto& event : one_of_each()) lines += text_of(event) + "\n";
  CHECK(lines == golden());
}

TEST_CASE("a source event is read as it was written") {
  for (const auto& event : one_of_each()) {
    auto read = decode_source_event(kind_of(event), text_of(event));
    REQUIRE(read);
    CHECK(kind_of(*read) == kind_of(event));
    CHECK(text_of(*read) == text_of(event));
  }
}

TEST_CASE("a key that is missing, unknown, twice there, of another type or out of range is an error") {
  auto problem = [](std::string_view json) {
    auto read = decode_source_event(BatchKind::kSourceMoved, json);
    return read ? std::string("none") : read.error().text;
  };
  CHECK(problem(R"({"path":"a","from":"b"})") == "none");
  CHECK(problem(R"({"path":"a"})") == "source event: 'from' is missing or of another type");
  CHECK(problem(R"({"path":"a","from":1})") == "source event: 'from' is missing or of another type");
  CHECK(problem(R"({"path":"a","from":"b","to":"c"})") == "source event: 2 keys are expected, 3 came");
  CHECK(problem(R"({"path":"a","path":"b","from":"c"})") == "source event: 2 keys are expected, 3 came");
  CHECK(problem("[]") == "source event: expected a JSON object");
  CHECK(problem("") == "source event: expected a JSON object");
  const std::string opened = text_of(SourceOpened{"/in/a", 1, 2, 3, 4, "none"});
  auto wide = opened;
  wide.replace(wide.find("\"head_bytes\":3"), 14, "\"head_bytes\":4294967296");
  CHECK_FALSE(decode_source_event(BatchKind::kSourceOpened, wide));
  auto negative = opened;
  negative.replace(negative.find("\"size\":1"), 8, "\"size\":-1");
  CHECK_FALSE(decode_source_event(BatchKind::kSourceOpened, negative));
  auto read = decode_source_event(BatchKind::kRecords, "{}");
  REQUIRE_FALSE(read);
  CHECK(read.error().exit_code == kExitBug);
}

}  // namespace
}  // namespace leat::proto
