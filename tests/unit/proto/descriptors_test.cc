#include "proto/descriptors.h"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <array>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <functional>
#include <string>
#include <thread>

#include "tests/unit/skip.h"

using namespace leat;
using namespace leat::proto;

namespace {

struct Folder {
  Folder() {
    char name[] = "/tmp/leat-test-XXXXXX";
    path = ::mkdtemp(name);
  }
  ~Folder() { std::filesystem::remove_all(path); }
  std::string socket() const { return path + "/descriptors"; }
  std::string path;
};

// Serves one request while `ask` runs in another thread.
void serve_one(const DescriptorServer& server, const std::function<void()>& ask,
               const std::function<void(DescriptorServer::Request)>& serve) {
  std::thread asker(ask);
  std::optional<DescriptorServer::Request> request;
  while (!request) request = server.receive();
  serve(*std::move(request));
  asker.join();
}

ino_t inode(int fd) {
  struct stat found {};
  return ::fstat(fd, &found) == 0 ? found.st_ino : 0;
}

Fd raw_client(const std::string& path) {
  Fd socket(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::strncpy(address.sun_path, path.c_str(), sizeof address.sun_path - 1);
  REQUIRE(::connect(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0);
  return socket;
}

}  // namespace

TEST_CASE("a descriptor that was offered comes to the one that asks, with the sender's number and user") {
  const Folder folder;
  const DescriptorServer server(folder.socket());
  auto client = DescriptorClient::connect(folder.socket());
  REQUIRE(client.has_value());
  const Fd memory(::memfd_create("leat-test", MFD_CLOEXEC));
  Fd kept;
  serve_one(
      server, [&] { CHECK(client->offer(7, memory.get()).has_value()); },
      [&](DescriptorServer::Request request) {
        CHECK(request.kind == DescriptorRequestKind::kOffer);
        CHECK(request.number == 7);
        CHECK(request.pid == ::getpid());
        CHECK(request.uid == ::geteuid());
        REQUIRE(request.descriptors.size() == 1);
        kept = std::move(request.descriptors.front());
        DescriptorServer::grant(request);
      });
  serve_one(
      server,
      [&] {
        auto got = client->ask(7);
        REQUIRE(got.has_value());
        CHECK(inode(got->get()) == inode(memory.get()));
        CHECK((::fcntl(got->get(), F_GETFD) & FD_CLOEXEC) != 0);
      },
      [&](const DescriptorServer::Request& request) {
        CHECK(request.descriptors.empty());
        DescriptorServer::grant(request, {kept.get()});
      });
}

TEST_CASE("who is not answered fails at once, not after its patience") {
  const Folder folder;
  const DescriptorServer server(folder.socket());
  auto client = DescriptorClient::connect(folder.socket());
  REQUIRE(client.has_value());
  auto begin = std::chrono::steady_clock::now();
  serve_one(
      server, [&] { CHECK(client->ask(7).error().fault == Fault::kRetry); },
      [](const DescriptorServer::Request&) {});
  CHECK(std::chrono::steady_clock::now() - begin < DescriptorClient::kPatience);
}

TEST_CASE("a supervisor that is not there, or has gone, is an error and not a wait") {
  const Folder folder;
  CHECK_FALSE(DescriptorClient::connect(folder.socket()).has_value());
  auto server = std::make_unique<DescriptorServer>(folder.socket());
  auto client = DescriptorClient::connect(folder.socket());
  REQUIRE(client.has_value());
  server.reset();
  CHECK_FALSE(client->ask(7).has_value());
}

TEST_CASE("what is no request is passed over, and leaves no descriptor open") {
  const Folder folder;
  const DescriptorServer server(folder.socket());
  const Fd raw = raw_client(folder.socket());
  auto descriptors = [] {
    auto all = std::filesystem::directory_iterator("/proc/self/fd");
    return std::distance(begin(all), end(all));
  };
  const auto before = descriptors();
  std::array<char, 17> bytes{};
  for (std::size_t size = 0; size <= bytes.size(); ++size)
    ::send(raw.get(), bytes.data(), size, MSG_DONTWAIT);
  // Many descriptors, and no socket among them.
  std::array<char, 16> request{};
  std::memcpy(request.data(), "LDR1\2", 5);
  iovec part{request.data(), request.size()};
  alignas(cmsghdr) std::array<char, CMSG_SPACE(200 * sizeof(int))> control{};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = control.data();
  message.msg_controllen = control.size();
  cmsghdr* header = CMSG_FIRSTHDR(&message);
  header->cmsg_level = SOL_SOCKET;
  header->cmsg_type = SCM_RIGHTS;
  header->cmsg_len = CMSG_LEN(200 * sizeof(int));
  const Fd null(::open("/dev/null", O_RDWR | O_CLOEXEC));
  for (std::size_t i = 0; i < 200; ++i) {
    int fd = null.get();
    std::memcpy(CMSG_DATA(header) + i * sizeof(int), &fd, sizeof fd);
  }
  int granted = 0;
  for (int round = 0; round < 3; ++round) {
    while (auto odd = server.receive()) {
      CHECK(odd->descriptors.size() <= 3);
      DescriptorServer::grant(*odd);  // to what is no socket
      ++granted;
    }
    REQUIRE(::sendmsg(raw.get(), &message, MSG_DONTWAIT) == 16);
  }
  while (server.receive()) ++granted;
  CHECK(granted == 3);
  if (under_qemu()) LEAT_SKIP("qemu keeps the descriptors that a cut off message had");
  CHECK(descriptors() == before + 1);  // null
}
