#include "daemon/control/listener.h"

#include <fcntl.h>
#include <grp.h>
#include <sys/file.h>
#include <sys/stat.h>

#include <fstream>

#include "tests/unit/control/sockets.h"
#include "tests/unit/skip.h"

using namespace leat::control;
using namespace leat::control::test;

namespace {

bool exists(const std::string& path) {
  return std::filesystem::exists(std::filesystem::symlink_status(path));
}

// A socket file that a killed server has left.
void leave_stale(const std::string& path) {
  leat::Fd dead(::socket(AF_UNIX, SOCK_STREAM, 0));
  auto address = *address_of(path);
  REQUIRE(::bind(dead.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0);
}

}  // namespace

TEST_CASE("the socket is for its owner and its group, and goes with the server") {
  Folder folder;
  {
    Listener listener(folder.socket(), "no-such-group");
    struct stat info {};
    REQUIRE(::stat(folder.socket().c_str(), &info) == 0);
    CHECK((info.st_mode & 07777) == 0660);
    CHECK(info.st_gid == listener.group());
  }
  CHECK_FALSE(exists(folder.socket()));
}

TEST_CASE("the socket is given to the group that is asked for, if we may") {
  if (::geteuid() != 0) LEAT_SKIP("wants root");
  Folder folder;
  Listener listener(folder.socket(), "daemon");
  CHECK(listener.group() == ::getgrnam("daemon")->gr_gid);
}

TEST_CASE("a socket file on which nobody answers is replaced") {
  Folder folder;
  leave_stale(folder.socket());
  Listener listener(folder.socket(), "leat");
  CHECK_NOTHROW(RawClient{folder.socket()});
}

TEST_CASE("a socket on which somebody answers stays, and we are refused") {
  Folder folder;
  Listener first(folder.socket(), "leat");
  CHECK_THROWS_WITH_AS(Listener(folder.socket(), "leat"), doctest::Contains("another leatd"), SocketError);
  CHECK_NOTHROW(RawClient{folder.socket()});
}

TEST_CASE("a full queue has somebody behind it") {
  Folder folder;
  Listener first(folder.socket(), "leat");
  std::vector<leat::Fd> waiting;
  auto address = *address_of(folder.socket());
  while (true) {
    waiting.emplace_back(::socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0));
    if (::connect(waiting.back().get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0)
      break;
  }
  CHECK_THROWS_WITH_AS(Listener(folder.socket(), "leat"), doctest::Contains("another leatd"), SocketError);
  CHECK(exists(folder.socket()));
}

TEST_CASE("a file that is no socket is not touched") {
  Folder folder;
  std::ofstream(folder.socket()) << "mine";
  CHECK_THROWS_WITH_AS(Listener(folder.socket(), "leat"), doctest::Contains("no socket"), SocketError);
  CHECK(std::filesystem::file_size(folder.socket()) == 4);
}

TEST_CASE("the socket of a server that came after us is not removed") {
  Folder folder;
  auto first = std::make_unique<Listener>(folder.socket(), "leat");
  std::filesystem::remove(folder.socket());
  Listener second(folder.socket(), "leat");
  first.reset();
  CHECK(exists(folder.socket()));
}

TEST_CASE("a path that is too long for a socket, or whose folder is missing, is an error in words") {
  CHECK_THROWS_WITH_AS(Listener("/tmp/" + std::string(120, 'x'), "leat"), doctest::Contains("bytes"),
                       SocketError);
  CHECK_THROWS_WITH_AS(Listener("/nowhere/leatd.sock", "leat"), doctest::Contains("No such file"),
                       SocketError);
}

TEST_CASE("a lock that somebody holds on the folder for long does not keep us waiting for ever") {
  Folder folder;
  leat::Fd lock(::open(folder.root().c_str(), O_RDONLY | O_DIRECTORY));
  REQUIRE(::flock(lock.get(), LOCK_EX) == 0);
  Listener listener(folder.socket(), "leat");
  CHECK_NOTHROW(RawClient{folder.socket()});
}
