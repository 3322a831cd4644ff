#include "daemon/cli/sources.h"

#include <doctest/doctest.h>

using namespace leat;
using namespace leat::cli;

TEST_CASE("a source is a line with its columns under their names, and a second line with the reason") {
  ledger::Source source;
  source.path = "/in/\x1b[1ma.jsonl";
  source.state = ledger::SourceState::kFailed;
  source.place.offset = 3 * 1024 * 1024;
  source.place.lines = 1999;
  source.counts.in = 1'234'567;
  source.reason = "zstd: damaged\n";
  std::string line = source_line(source);
  CHECK(line.starts_with("failed    3.00 MiB    1,234,567"));
  CHECK(line.find("/in/\\x1b[1ma.jsonl\n") != std::string::npos);
  CHECK(line.find("line 2,000, byte 3,145,728: zstd: damaged\\n\n") != std::string::npos);
  CHECK(source_header().find("SOURCE") == line.find("/in/"));

  JsonWriter json;
  source.path = "/in/\xFF";
  put_source(json, source);
  CHECK(json.text().find(
            R"("path_base64":"L2luL/8=","state":"failed","reason":"zstd: damaged\n","lines":1999)") !=
        std::string::npos);
}
