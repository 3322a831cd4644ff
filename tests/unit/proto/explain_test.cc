#include "proto/explain.h"

#include <doctest/doctest.h>

#include <fstream>
#include <string>

using namespace leat;
using namespace leat::proto;

TEST_CASE("what --list and --describe print is the golden file's, byte for byte") {
  std::ifstream golden(std::string(LEAT_SOURCE_DIR) + "/tests/golden/explain-v1.jsonl");
  std::string listing;
  std::string plan;
  REQUIRE(std::getline(golden, listing));
  REQUIRE(std::getline(golden, plan));
  CHECK(listing == encode_fields(Listing{{{"/in/a\"b.jsonl", ~0ULL}}, {{"/in/c.tmp", "hidden"}}}));
  CHECK(plan == encode_fields(FilterPlan{{"/score < 0.5", "record is missing"}, 4096}));
  CHECK(encode_fields(decode_fields<Listing>(listing, "list").value()) == listing);
  CHECK(encode_fields(decode_fields<FilterPlan>(plan, "plan").value()) == plan);
}

TEST_CASE("a listing without a key, or with one of another type, is none") {
  for (const char* bad : {"", "[]", "{}", R"({"files":5,"skipped":[]})", R"({"files":[]})",
                          R"({"files":[5],"skipped":[]})", R"({"files":[{"path":"/a"}],"skipped":[]})",
                          R"({"files":[{"path":"/a","bytes":-1}],"skipped":[]})"}) {
    CAPTURE(bad);
    CHECK_FALSE(decode_fields<Listing>(bad, "leat-reader --list"));
  }
  CHECK(decode_fields<Listing>(R"({"files":[{"path":"/a"}],"skipped":[]})", "leat-reader --list")
            .error()
            .text == "leat-reader --list: 'files[0].bytes' is missing or of another type");
}
