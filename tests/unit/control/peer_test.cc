// Who may change something. The clients are children with other credentials: only root can make them.
#include <grp.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <cstdio>

#include "daemon/control/server.h"
#include "tests/unit/control/sockets.h"
#include "tests/unit/skip.h"

using namespace leat::control;
using namespace leat::control::test;

namespace {

constexpr uid_t kSomebody = 54'321;
constexpr gid_t kTheirGroup = 54'322;

struct As {
  uid_t uid;
  gid_t gid;
  std::vector<gid_t> groups;
};

// What a process with these credentials is answered.
std::string ask_as(Server& server, const std::string& path, const As& as, std::string_view request) {
  std::array<int, 2> ends{};
  REQUIRE(::pipe(ends.data()) == 0);
  pid_t pid = ::fork();
  REQUIRE(pid >= 0);
  if (pid == 0) {
    if (::setgroups(as.groups.size(), as.groups.data()) != 0 || ::setgid(as.gid) != 0 ||
        ::setuid(as.uid) != 0) {
      ::_exit(1);
    }
    try {
      RawClient client(path);
      client.send(request);
      while (!client.closed()) {
        client.take();
        ::usleep(1000);
      }
      static_cast<void>(::write(ends[1], client.answer().data(), client.answer().size()) == 0);
    } catch (const std::exception& error) {
      static_cast<void>(::write(ends[1], error.what(), std::string_view(error.what()).size()) == 0);
    }
    ::_exit(0);
  }
  ::close(ends[1]);
  CHECK(serve_until(server, [&] { return ::waitpid(pid, nullptr, WNOHANG) == pid; }));
  std::array<char, 4096> answer{};
  ssize_t count = ::read(ends[0], answer.data(), answer.size());
  ::close(ends[0]);
  return {answer.data(), static_cast<std::size_t>(std::max<ssize_t>(count, 0))};
}

bool has(const std::string& text, std::string_view part) {
  return text.find(part) != std::string::npos;
}

}  // namespace

TEST_CASE("changes are for root, our own user and the socket's group; others may look at most") {
  if (::geteuid() != 0) LEAT_SKIP("wants root");
  if (under_qemu()) LEAT_SKIP("qemu knows no SO_PEERGROUPS");
  Folder folder;
  REQUIRE(::chmod(folder.root().c_str(), 0755) == 0);
  ServerOptions options;
  options.group = "daemon";
  gid_t group = ::getgrnam("daemon")->gr_gid;
  Peer seen;
  Server server(
      folder.socket(),
      [&](const Request&, const Peer& peer) {
        seen = peer;
        return Reply{0, "as you say", ""};
      },
      options);
  std::string_view reload = "{\"command\":\"reload\"}\n";
  std::string_view status = "{\"command\":\"status\"}\n";

  CHECK(has(ask_as(server, folder.socket(), {0, kTheirGroup, {}}, reload), "as you say"));
  CHECK(seen.uid == 0);
  CHECK(has(ask_as(server, folder.socket(), {kSomebody, group, {}}, reload), "as you say"));
  CHECK(
      has(ask_as(server, folder.socket(), {kSomebody, kTheirGroup, {54'323, group}}, reload), "as you say"));
  CHECK(seen.uid == kSomebody);
  CHECK(seen.gid == kTheirGroup);
  CHECK(seen.groups == std::vector<gid_t>{group, 54'323});
  CHECK(seen.may_change);
  // The file keeps others out. Should somebody open it to all, they may still change nothing.
  CHECK(ask_as(server, folder.socket(), {kSomebody, kTheirGroup, {}}, status) == "connect");
  REQUIRE(::chmod(folder.socket().c_str(), 0666) == 0);
  CHECK(has(ask_as(server, folder.socket(), {kSomebody, kTheirGroup, {54'323}}, status), "as you say"));
  CHECK_FALSE(seen.may_change);
  CHECK(has(ask_as(server, folder.socket(), {kSomebody, kTheirGroup, {54'323}}, reload), "only root"));
}

TEST_CASE("membership in many groups is seen too") {
  if (::geteuid() != 0) LEAT_SKIP("wants root");
  if (under_qemu()) LEAT_SKIP("qemu knows no SO_PEERGROUPS");
  Folder folder;
  REQUIRE(::chmod(folder.root().c_str(), 0755) == 0);
  ServerOptions options;
  options.group = "daemon";
  Server server(folder.socket(), echo, options);
  As as{kSomebody, kTheirGroup, {::getgrnam("daemon")->gr_gid}};
  for (gid_t other = 60'000; other < 60'500; ++other) as.groups.push_back(other);
  CHECK(has(ask_as(server, folder.socket(), as, "{\"command\":\"reload\"}\n"), "\"exit_code\":0"));
}
