#include "daemon/control/request.h"

#include <doctest/doctest.h>

using namespace leat;
using namespace leat::control;

namespace {

bool refused(std::string_view line, std::string_view part) {
  auto request = decode_request(line);
  if (request) return false;
  INFO(request.error().text);
  CHECK(request.error().exit_code == kExitUsage);
  bool found = request.error().text.find(part) != std::string::npos;
  CHECK(found);
  return true;
}

}  // namespace

TEST_CASE("a request comes out as it went in") {
  Request scale;
  scale.command = "scale";
  scale.pipeline = "reviews";
  scale.role = "processor";
  scale.workers = 6;
  auto back = decode_request(encode(scale));
  REQUIRE(back);
  CHECK(back->pipeline == "reviews");
  CHECK(back->role == "processor");
  CHECK(back->workers == 6);
  scale.workers.reset();
  CHECK(encode(scale) ==
        "{\"command\":\"scale\",\"pipeline\":\"reviews\",\"role\":\"processor\",\"workers\":\"auto\"}\n");
  CHECK_FALSE(decode_request(encode(scale))->workers);
  Request sources;
  sources.command = "sources";
  sources.pipeline = "reviews";
  sources.arguments = {"--state-filter", "failed", "--json"};
  CHECK(decode_request(encode(sources))->arguments == sources.arguments);
}

TEST_CASE("what is no request is refused in words") {
  CHECK(refused("", "one line of JSON"));
  CHECK(refused("GET / HTTP/1.1", "wrong at byte 0"));
  CHECK(refused("[1]", "is none"));
  CHECK(refused("{}", "there are: status, scale"));
  CHECK(refused(R"({"command":"format-disk"})", "unknown"));
  CHECK(refused(R"({"command":7})", "unknown"));
  CHECK(refused("{\"command\":\"\xFF\"}", "wrong at byte"));
  CHECK(refused(std::string(60'000, '['), "wrong at byte"));
}

TEST_CASE("a pipeline is named where it must be, by a name") {
  CHECK(decode_request(R"({"command":"status"})"));
  CHECK(decode_request(R"({"command":"status","pipeline":"bad.yaml"})"));
  CHECK(refused(R"({"command":"pause"})", "wants the name"));
  CHECK(refused(R"({"command":"reload","pipeline":"a"})", "takes no pipeline"));
  CHECK(refused(R"({"command":"pause","pipeline":"../etc"})", "no name"));
  CHECK(refused(R"({"command":"pause","pipeline":"a\u0000b"})", "no name"));
  CHECK(refused(R"({"command":"pause","pipeline":""})", "no name"));
  CHECK(refused(R"({"command":"pause","pipeline":["a"]})", "no name"));
}

TEST_CASE("workers are a number or auto") {
  auto scale = [](const std::string& workers) {
    return R"({"command":"scale","pipeline":"a","role":"processor","workers":)" + workers + "}";
  };
  CHECK(decode_request(scale("0"))->workers == 0);
  CHECK(decode_request(scale("64"))->workers == 64);
  for (const char* bad : {"-1", "1025", "1.5", "\"many\"", "null", "99999999999"}) {
    CHECK(refused(scale(bad), "must be a number"));
  }
  CHECK(refused(R"({"command":"scale","pipeline":"a","workers":1})", "role"));
  CHECK(refused(R"({"command":"scale","pipeline":"a","role":"writer","workers":1})", "role"));
  CHECK(refused(R"({"command":"scale","pipeline":"a","role":"processor"})", "wants workers"));
}

TEST_CASE("only known arguments are passed on to a program") {
  auto with = [](const std::string& command, const std::string& arguments) {
    return R"({"command":")" + command + R"(","pipeline":"a","arguments":)" + arguments + "}";
  };
  CHECK(decode_request(with("sources", "[]")));
  CHECK(decode_request(with("dead", R"(["ls","--json"])")));
  CHECK(decode_request(with("dead", R"(["show","3","--record"])")));
  for (const char* bad : {R"(["--state","/etc"])", R"(["/etc/shadow"])", R"(["--state-filter"])",
                          R"(["--state-filter","--json"])", R"(["--record"])"}) {
    CHECK(refused(with("sources", bad), "takes the arguments"));
  }
  for (const char* bad : {"[]", R"(["replay"])", R"(["show"])", R"(["show","/etc/shadow"])",
                          R"(["ls","--record"])", R"(["ls","x"])", R"(["show","1\u0000"])"}) {
    CHECK(refused(with("dead", bad), "takes the arguments"));
  }
  CHECK(refused(with("sources", R"([1])"), "strings"));
  CHECK(refused(with("sources", R"("--json")"), "short list"));
}

TEST_CASE("looking changes nothing, everything else does") {
  for (const char* command : {"status", "sources", "dead"}) CHECK_FALSE(changes(command));
  for (const char* command : {"scale", "pause", "resume", "drain", "stop", "reload", "anything"})
    CHECK(changes(command));
}
