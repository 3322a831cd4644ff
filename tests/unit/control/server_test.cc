#include "daemon/control/server.h"

#include <sys/resource.h>

#include "tests/unit/control/sockets.h"

using namespace leat::control;
using namespace leat::control::test;

namespace {

constexpr const char* kStatus = "{\"command\":\"status\"}\n";

ServerOptions impatient() {
  ServerOptions options;
  options.patience = 50ms;
  return options;
}

std::size_t open_descriptors() {
  std::size_t count = 0;
  for ([[maybe_unused]] const auto& entry : std::filesystem::directory_iterator("/proc/self/fd")) ++count;
  return count;
}

}  // namespace

TEST_CASE("a request that comes in pieces is answered once it is whole, and the connection closed") {
  Folder folder;
  Server server(folder.socket(), echo);
  RawClient client(folder.socket());
  std::string_view request = "{\"command\":\"pause\",\"pipeline\":\"reviews\"}\n";
  for (char byte : request) {
    CHECK(client.answer().empty());
    client.send(std::string_view(&byte, 1));
    server.step();
    client.take();
  }
  REQUIRE(serve_until_closed(server, client));
  CHECK(client.answer() == "{\"exit_code\":0,\"text\":\"pause reviews\",\"data\":{\"got\":true}}\n");
  CHECK(server.connections() == 0);
}

TEST_CASE("clients do not wait for each other") {
  Folder folder;
  Server server(folder.socket(), echo);
  RawClient first(folder.socket());
  RawClient second(folder.socket());
  first.send("{\"command\":\"pau");
  second.send("{\"command\":\"status\",");
  server.step();
  first.send("se\",\"pipeline\":\"a\"}");
  second.send("\"pipeline\":\"b\"}\n");
  REQUIRE(serve_until_closed(server, second));
  CHECK(second.has("status b"));
  first.take();
  CHECK_FALSE(first.closed());
  first.send("\n");
  REQUIRE(serve_until_closed(server, first));
  CHECK(first.has("pause a"));
}

TEST_CASE("garbage gets an error that says so, and is closed") {
  Folder folder;
  bool called = false;
  Server server(folder.socket(), [&](const Request&, const Peer&) {
    called = true;
    return Reply{};
  });
  for (std::string_view garbage :
       {"hello\n", "\n", "{\"command\":\"\xFE\xFF\"}\n", "GET / HTTP/1.1\r\nHost: x\r\n\r\n"}) {
    RawClient client(folder.socket());
    client.send(garbage);
    REQUIRE(serve_until_closed(server, client));
    CHECK(client.has("\"exit_code\":64"));
    CHECK(client.has("request"));
  }
  CHECK_FALSE(called);
}

TEST_CASE("a request over the cap is refused as soon as it is") {
  Folder folder;
  Server server(folder.socket(), echo);
  RawClient client(folder.socket());
  std::string flood(kMaxRequestBytes + 1000, 'x');
  std::size_t sent = 0;
  REQUIRE(serve_until(server, [&] {
    sent += client.send(std::string_view(flood).substr(sent));
    client.take();
    return client.closed();
  }));
  CHECK(client.has("at most 65536 bytes"));
  CHECK(server.connections() == 0);
}

TEST_CASE("a request as long as the cap is read") {
  Folder folder;
  Server server(folder.socket(), echo);
  RawClient client(folder.socket());
  std::string request(kStatus, std::string_view(kStatus).size() - 1);
  request.resize(kMaxRequestBytes - 1, ' ');
  request += '\n';
  std::size_t sent = 0;
  REQUIRE(serve_until(server, [&] {
    sent += client.send(std::string_view(request).substr(sent));
    client.take();
    return client.closed();
  }));
  CHECK(client.has("\"exit_code\":0"));
}

TEST_CASE("a client that hangs is told so and dropped, and the others are answered meanwhile") {
  Folder folder;
  Server server(folder.socket(), echo, impatient());
  RawClient hangs(folder.socket());
  hangs.send("{\"command\"");
  RawClient other(folder.socket());
  other.send(kStatus);
  REQUIRE(serve_until_closed(server, other));
  CHECK(other.has("\"exit_code\":0"));
  REQUIRE(serve_until_closed(server, hangs));
  CHECK(hangs.has("no whole request"));
  CHECK(server.connections() == 0);
}

TEST_CASE("a long answer waits for a client that reads slowly") {
  Folder folder;
  std::string data = "\"" + std::string(3'000'000, 'x') + "\"";
  Server server(folder.socket(), [&](const Request&, const Peer&) { return Reply{0, "", data}; });
  RawClient client(folder.socket());
  client.send(kStatus);
  REQUIRE(serve_until_closed(server, client));
  CHECK(client.answer().size() > 3'000'000);
  CHECK(client.answer().ends_with("x\"}\n"));
}

TEST_CASE("a client that never reads its answer is dropped") {
  Folder folder;
  std::string data = "\"" + std::string(3'000'000, 'x') + "\"";
  Server server(
      folder.socket(),
      [&](const Request&, const Peer&) {
        return Reply{0, "", data};
      },
      impatient());
  RawClient client(folder.socket());
  client.send(kStatus);
  REQUIRE(serve_until(server, [&] { return server.connections() == 1; }));
  CHECK(serve_until(server, [&] { return server.connections() == 0; }));
}

TEST_CASE("a client that has only closed its sending half is answered") {
  Folder folder;
  std::uint64_t ticket = 0;
  Server server(folder.socket(), [&](const Request& request, const Peer&) {
    ticket = request.ticket;
    return Later{};
  });
  RawClient client(folder.socket());
  client.send(kStatus);
  client.half_close();
  REQUIRE(serve_until(server, [&] { return ticket != 0; }));
  server.step();
  CHECK(server.answer(ticket, {0, "done", ""}));
  client.take();
  CHECK(client.closed());
  CHECK(client.has("done"));
  RawClient unfinished(folder.socket());
  unfinished.send("{}");
  unfinished.half_close();
  REQUIRE(serve_until_closed(server, unfinished));
  CHECK(unfinished.has("before its newline"));
}

TEST_CASE("an answer may come later, once, and to nobody when the client has gone") {
  Folder folder;
  std::uint64_t ticket = 0;
  Server server(
      folder.socket(),
      [&](const Request& request, const Peer&) {
        ticket = request.ticket;
        return Later{};
      },
      impatient());
  RawClient waits(folder.socket());
  waits.send(kStatus);
  REQUIRE(serve_until(server, [&] { return ticket != 0; }));
  auto patience_over = std::chrono::steady_clock::now() + 100ms;
  REQUIRE(serve_until(server, [&] { return std::chrono::steady_clock::now() > patience_over; }));
  waits.take();
  CHECK_FALSE(waits.closed());
  CHECK(server.answer(ticket, {75, "drained", ""}));
  CHECK_FALSE(server.answer(ticket, {0, "again", ""}));
  waits.take();
  CHECK(waits.answer() == "{\"exit_code\":75,\"text\":\"drained\",\"data\":{}}\n");

  ticket = 0;
  RawClient leaves(folder.socket());
  leaves.send(kStatus);
  REQUIRE(serve_until(server, [&] { return ticket != 0; }));
  leaves.leave();
  REQUIRE(serve_until(server, [&] { return server.connections() == 0; }));
  CHECK_FALSE(server.answer(ticket, {0, "done", ""}));
  CHECK_FALSE(server.answer(12345, {}));
}

TEST_CASE("one client too many is told so, and there is room again when one has gone") {
  Folder folder;
  ServerOptions options;
  options.max_connections = 2;
  int asked = 0;
  Server server(
      folder.socket(),
      [&](const Request& request, const Peer&) -> Answer {
        if (request.command == "status") return Reply{};
        ++asked;
        return Later{};
      },
      options);
  RawClient first(folder.socket());
  RawClient second(folder.socket());
  first.send("{\"command\":\"reload\"}\n");
  second.send("{\"command\":\"reload\"}\n");
  REQUIRE(serve_until(server, [&] { return asked == 2; }));
  RawClient third(folder.socket());
  REQUIRE(serve_until_closed(server, third));
  CHECK(third.has("too many clients"));
  first.leave();
  REQUIRE(serve_until(server, [&] { return server.connections() == 1; }));
  RawClient fourth(folder.socket());
  fourth.send(kStatus);
  REQUIRE(serve_until_closed(server, fourth));
  CHECK(fourth.has("\"exit_code\":0"));
}

TEST_CASE("clients that ask nothing do not keep out one that asks") {
  Folder folder;
  ServerOptions options;
  options.max_connections = 2;
  Server server(folder.socket(), echo, options);
  std::vector<std::unique_ptr<RawClient>> silent;
  for (int i = 0; i < 50; ++i) {
    silent.push_back(std::make_unique<RawClient>(folder.socket()));
    silent.back()->send("{\"comm");
    server.step();
  }
  RawClient asks(folder.socket());
  asks.send(kStatus);
  REQUIRE(serve_until_closed(server, asks));
  CHECK(asks.has("\"exit_code\":0"));
  silent.front()->take();
  CHECK(silent.front()->has("too many clients"));
  CHECK(server.connections() <= 2);
}

TEST_CASE("without a free descriptor the server waits instead of spinning, and continues") {
  Folder folder;
  Server server(folder.socket(), echo);
  RawClient client(folder.socket());
  client.send(kStatus);
  rlimit before{};
  REQUIRE(::getrlimit(RLIMIT_NOFILE, &before) == 0);
  rlimit none = before;
  none.rlim_cur = 3;
  REQUIRE(::setrlimit(RLIMIT_NOFILE, &none) == 0);
  server.step();
  pollfd wait{server.fd(), POLLIN, 0};
  bool spins = ::poll(&wait, 1, 0) != 0;
  REQUIRE(::setrlimit(RLIMIT_NOFILE, &before) == 0);
  CHECK_FALSE(spins);
  CHECK(server.connections() == 0);
  REQUIRE(serve_until_closed(server, client));
  CHECK(client.has("\"exit_code\":0"));
}

TEST_CASE("text that is not UTF-8 does not spoil the answer") {
  Folder folder;
  Server server(folder.socket(), [](const Request&, const Peer&) { return Reply{74, "a\xFF\"b\n", ""}; });
  RawClient client(folder.socket());
  client.send(kStatus);
  REQUIRE(serve_until_closed(server, client));
  CHECK(client.answer() == "{\"exit_code\":74,\"text\":\"a\\\\xff\\\"b\\n\",\"data\":{}}\n");
}

TEST_CASE("hundreds of clients of all kinds leave nothing behind") {
  Folder folder;
  Server server(folder.socket(), [](const Request& request, const Peer&) -> Answer {
    if (request.command == "sources") return Stream{"/bin/echo", {"x"}};
    if (request.command == "reload") return Later{};
    return Reply{};
  });
  std::size_t before = open_descriptors();
  for (int i = 0; i < 100; ++i) {
    RawClient asks(folder.socket());
    RawClient streams(folder.socket());
    RawClient waits(folder.socket());
    RawClient garbage(folder.socket());
    RawClient silent(folder.socket());
    asks.send(kStatus);
    streams.send("{\"command\":\"sources\",\"pipeline\":\"a\"}\n");
    waits.send("{\"command\":\"reload\"}\n");
    garbage.send("\x01\x02\n");
    REQUIRE(serve_until_closed(server, asks));
    REQUIRE(serve_until_closed(server, streams));
    REQUIRE(serve_until_closed(server, garbage));
  }
  CHECK(serve_until(server, [&] { return server.connections() == 0; }));
  CHECK(open_descriptors() == before);
}
