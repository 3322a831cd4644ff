#include "config/encoding.h"

#include <doctest/doctest.h>

#include <filesystem>
#include <fstream>
#include <sstream>

#include "config/yaml/yaml.h"
#include "help.h"

using namespace leat;
using namespace leat::config;
namespace fs = std::filesystem;

namespace {

std::string content_of(const fs::path& file) {
  std::ifstream stream(file, std::ios::binary);
  std::ostringstream text;
  text << stream.rdbuf();
  return text.str();
}

std::string golden() {
  std::string text = content_of(LEAT_SOURCE_DIR "/tests/golden/pipeline-v2.json");
  text.resize(text.find('\n'));
  return text;
}

}  // namespace

TEST_CASE("a worker decodes of every example what was checked") {
  int examples = 0;
  for (const auto& entry : fs::directory_iterator(LEAT_SOURCE_DIR "/config/examples")) {
    if (entry.path().extension() == ".yaml") examples += !test::good(content_of(entry.path())).name.empty();
  }
  CHECK(examples >= 5);
}

TEST_CASE("a pipeline with every key is encoded as in the newest golden file") {
  const Parsed parsed = test::parse(content_of(LEAT_SOURCE_DIR "/tests/golden/pipeline-v2.yaml"));
  for (const Problem& problem : parsed.problems) FAIL_CHECK(to_string(problem));
  CHECK(encode_fields(parsed.pipeline) == golden());
  auto decoded = decode_fields<Pipeline>(golden(), "pipeline");
  REQUIRE_MESSAGE(decoded, decoded.error().text);
  CHECK(*decoded == parsed.pipeline);
}

TEST_CASE("an encoded pipeline that was cut, or has a key or a value of another kind, is an error") {
  const std::string good = golden();
  for (std::size_t bytes = 0; bytes < good.size(); bytes += 7) {
    CHECK_FALSE(decode_fields<Pipeline>(good.substr(0, bytes), "pipeline"));
  }
  auto problem = [&](const std::string& what, const std::string& with) {
    std::string text = good;
    text.replace(text.find(what), what.size(), with);
    auto decoded = decode_fields<Pipeline>(text, "pipeline");
    return decoded ? "" : decoded.error().text;
  };
  CHECK(problem("\"op\":\"all\"", "\"op\":\"field\"").find("'filter.keep[") != std::string::npos);
  CHECK(problem("\"field\":\"/", "\"field\":\"").find("].field'") != std::string::npos);
  CHECK(problem("\"poll\":", "\"pool\":") == "pipeline: 'source.poll' is missing or of another type");
  CHECK(problem("\"threads\":", "\"threads\":4294967296,\"threads\":").find("'sink.threads'") !=
        std::string::npos);
  CHECK(problem("\"op\":\"exec\"", "\"op\":\"lua\"").find("'process.steps[") != std::string::npos);
}

TEST_CASE("predicates as deep as YAML may be survive") {
  std::string text = "{field: /a, eq: 1}";
  for (std::size_t i = 0; i + 8 < kMaxYamlDepth; ++i) text = "{not: " + text + "}";
  CHECK(test::good_after_head("filter:\n  keep:\n    - " + text + "\n").filter.keep.size() == 1);
}
