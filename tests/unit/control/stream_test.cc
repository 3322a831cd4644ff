// Answers that a program gives.
#include <signal.h>

#include "daemon/control/server.h"
#include "tests/unit/control/sockets.h"

using namespace leat::control;
using namespace leat::control::test;

namespace {

constexpr const char* kSources = "{\"command\":\"sources\",\"pipeline\":\"a\"}\n";

Handler shell(const std::string& script) {
  return [script](const Request&, const Peer&) { return Stream{"/bin/sh", {"-c", script}}; };
}

}  // namespace

TEST_CASE("a stream brings what the program writes to both its outputs, and its exit code") {
  Folder folder;
  Server server(folder.socket(), shell("echo one; echo two >&2; printf 'three'; exit 66"));
  RawClient client(folder.socket());
  client.send(kSources);
  REQUIRE(serve_until_closed(server, client));
  CHECK(client.answer() == "{\"stream\":true}\none\ntwo\nthree\x1e{\"exit_code\":66}\n");
  CHECK(server.connections() == 0);
}

TEST_CASE("a program that is killed, or cannot be started, is a failure of ours") {
  Folder folder;
  {
    Server server(folder.socket(), shell("kill -KILL $$"));
    RawClient client(folder.socket());
    client.send(kSources);
    REQUIRE(serve_until_closed(server, client));
    CHECK(client.answer().ends_with("\x1e{\"exit_code\":70}\n"));
  }
  Server server(folder.socket(), [](const Request&, const Peer&) { return Stream{"/nowhere/leat", {}}; });
  RawClient client(folder.socket());
  client.send(kSources);
  REQUIRE(serve_until_closed(server, client));
  CHECK(client.has("cannot start /nowhere/leat"));
  CHECK(client.answer().ends_with("\x1e{\"exit_code\":70}\n"));
}

TEST_CASE("the program is killed when its client goes, with what it has started") {
  Folder folder;
  Server server(folder.socket(), shell("sleep 600 & echo $!; wait"));
  RawClient client(folder.socket());
  client.send(kSources);
  REQUIRE(serve_until(server, [&] {
    client.take();
    return client.answer().find('\n', 16) != std::string::npos;
  }));
  auto sleeper = static_cast<pid_t>(std::stol(client.answer().substr(16)));
  CHECK(::kill(sleeper, 0) == 0);
  client.leave();
  CHECK(serve_until(server, [&] { return server.connections() == 0; }));
  // Killed; whether it was already reaped is init's business.
  CHECK(serve_until(server, [&] {
    std::string state = "/proc/" + std::to_string(sleeper) + "/stat";
    std::string text;
    if (FILE* file = std::fopen(state.c_str(), "r")) {
      std::array<char, 256> bytes{};
      text.assign(bytes.data(), std::fread(bytes.data(), 1, bytes.size(), file));
      std::fclose(file);
    }
    return text.empty() || text.find(") Z ") != std::string::npos;
  }));
}

TEST_CASE("a slow client holds its program back, nobody else, and gets everything") {
  Folder folder;
  Server server(folder.socket(), [](const Request& request, const Peer&) -> Answer {
    if (request.command == "status") return Reply{};
    return Stream{"/bin/sh", {"-c", "head -c 3000000 /dev/zero; exit 3"}};
  });
  RawClient slow(folder.socket());
  slow.send(kSources);
  RawClient other(folder.socket());
  other.send("{\"command\":\"status\"}\n");
  REQUIRE(serve_until_closed(server, other));
  CHECK(other.has("\"exit_code\":0"));
  REQUIRE(serve_until_closed(server, slow));
  CHECK(slow.answer().size() == 16 + 3'000'000 + 17);
  CHECK(slow.answer().ends_with("\x1e{\"exit_code\":3}\n"));
}

TEST_CASE("streams are few, and do not keep a status waiting") {
  Folder folder;
  ServerOptions options;
  options.max_streams = 1;
  Server server(folder.socket(), shell("sleep 600"), options);
  RawClient first(folder.socket());
  first.send(kSources);
  REQUIRE(serve_until(server, [&] {
    first.take();
    return first.has("stream");
  }));
  RawClient second(folder.socket());
  second.send(kSources);
  REQUIRE(serve_until_closed(server, second));
  CHECK(second.has("too many"));
}

TEST_CASE("a stream that takes for ever is ended") {
  Folder folder;
  ServerOptions options;
  options.stream_limit = 50ms;
  Server server(folder.socket(), shell("sleep 600"), options);
  RawClient client(folder.socket());
  client.send(kSources);
  REQUIRE(serve_until_closed(server, client));
  CHECK(serve_until(server, [&] { return server.connections() == 0; }));
}
