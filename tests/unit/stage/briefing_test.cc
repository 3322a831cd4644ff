#include "workers/stage/briefing.h"

#include <doctest/doctest.h>
#include <unistd.h>

#include <fstream>
#include <sstream>
#include <string>

#include "config/yaml/parse.h"

using namespace leat;
using namespace leat::stage;

namespace {

Briefing sample() {
  Briefing briefing;
  briefing.pipeline = config::parse_pipeline(
                          "version: 1\nname: t\nsource: {paths: [/in/*]}\nsink: {path: /out/a}\n", "/p.yaml")
                          .pipeline;
  briefing.surroundings = {"/run/leat/t", "/var/lib/leat/\xff", true};
  briefing.follow = true;
  return briefing;
}

std::string problem(const std::string& encoded) {
  auto read = read_briefing(briefing_file(encoded).get());
  return read ? "" : read.error().text;
}

}  // namespace

TEST_CASE("a briefing is read as it was written, wherever the file's offset is") {
  const std::string encoded = encode(sample());
  const Fd file = briefing_file(encoded);
  for (int i = 0; i < 2; ++i) {
    auto read = read_briefing(file.get());
    REQUIRE(read);
    CHECK(read->briefing.pipeline == sample().pipeline);
    CHECK(read->briefing.surroundings.runtime == "/run/leat/t");
    CHECK(read->briefing.surroundings.state == "/var/lib/leat/\xff");
    CHECK(read->briefing.surroundings.volatile_state);
    CHECK(read->briefing.follow);
    CHECK_FALSE(read->briefing.daemon);
    CHECK(read->digest == digest(encoded));
  }
  CHECK(::write(file.get(), "x", 1) < 0);
}

TEST_CASE("a briefing of another release is refused as that, whatever keys it has") {
  Briefing other = sample();
  other.version = "9.8.7";
  CHECK(problem(encode(other)).find("its supervisor is 9.8.7: install all programs of one release") !=
        std::string::npos);
  CHECK(problem(R"({"version":"9.8.7","new":1})").find("9.8.7") != std::string::npos);
  CHECK(problem(R"({"type":"welcome"})").find("of another") != std::string::npos);
  CHECK(read_briefing(briefing_file(encode(other)).get()).error().exit_code == kExitConfig);
}

TEST_CASE("a briefing that is damaged, empty or no file is refused") {
  const std::string encoded = encode(sample());
  std::string damaged = encoded;
  damaged.replace(damaged.find("\"poll\""), 6, "\"poly\"");
  CHECK(problem(damaged).find("'pipeline.source.poll'") != std::string::npos);
  CHECK_FALSE(problem("").empty());
  CHECK_FALSE(problem(encoded.substr(0, encoded.size() / 2)).empty());
  int ends[2];
  REQUIRE(::pipe(ends) == 0);
  const Fd read_end(ends[0]);
  const Fd write_end(ends[1]);
  CHECK_FALSE(read_briefing(read_end.get()));
  CHECK(digest(encoded) != digest(damaged));
}

TEST_CASE("a briefing is written as in the newest golden file") {
  const std::string golden = LEAT_SOURCE_DIR "/tests/golden/";
  Briefing briefing;
  briefing.version = "0.1.0";
  std::ifstream yaml(golden + "pipeline-v2.yaml");
  std::ostringstream text;
  text << yaml.rdbuf();
  briefing.pipeline = config::parse_pipeline(text.str(), "/etc/leat/p.yaml").pipeline;
  briefing.surroundings = {"/run/leat/golden", "/var/lib/leat/golden", false};
  briefing.follow = briefing.daemon = true;
  std::ifstream file(golden + "briefing-v2.jsonl");
  std::string line;
  std::getline(file, line);
  CHECK(encode(briefing) == line);
}
